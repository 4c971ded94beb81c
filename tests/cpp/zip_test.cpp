// Zip archives, the pickle machine's budget and numpy's header, from C++.
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "host/base/error.h"
#include "host/save/npy_header.h"
#include "host/save/torch_file.h"
#include "host/save/zip.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

namespace {

using namespace trainhost;
using namespace trainhost::save;
using test::Folder;
namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::io);
    return e.message();
  }
  return "no error";
}

std::string read_all(const std::string& path, std::string_view name) {
  const file::ReadFile file("archive", path);
  Budget budget(file, std::nullopt);
  const ZipReader zip(file, budget);
  const ZipEntry* entry = zip.find(name);
  REQUIRE(entry);
  std::string bytes(entry->size, '\0');
  zip.read(*entry, bytes.data());
  return bytes;
}

std::string make(const Folder& folder, bool deflate) {
  const std::string path = folder / "a.zip", text(100000, 'x');
  file::NewFile file(path);
  ZipWriter zip(file);
  zip.add("a/one", "head", text.data(), text.size(), deflate);
  zip.add("a/none", "");
  zip.add("a/two", "second");
  zip.finish();
  file.publish();
  return path;
}

}  // namespace

TEST_CASE("zip: records come back, stored ones at multiples of 64 bytes", "[save]") {
  Folder folder;
  for (const bool deflate : {false, true}) {
    const std::string path = make(folder, deflate);
    CHECK(read_all(path, "a/one") == "head" + std::string(100000, 'x'));
    CHECK(read_all(path, "a/two") == "second");
    CHECK(read_all(path, "a/none").empty());
    CHECK((fs::file_size(path) < 5000) == deflate);
    const file::ReadFile file("archive", path);
    Budget budget(file, std::nullopt);
    const ZipReader zip(file, budget);
    CHECK(zip.entries().size() == 3);
    CHECK(zip.find("a/three") == nullptr);
    for (const ZipEntry& entry : zip.entries()) CHECK(zip.data(entry) % 64 == 0);
  }
}

TEST_CASE("zip: more than 65535 records need the zip64 end record", "[save]") {
  Folder folder;
  const std::string path = folder / "many.zip";
  file::NewFile file(path);
  ZipWriter zip(file);
  for (int i = 0; i < 70000; ++i) zip.add(std::to_string(i), i == 69999 ? "last" : "");
  zip.finish();
  file.publish();
  CHECK(read_all(path, "69999") == "last");
}

TEST_CASE("zip: every cut and every flipped bit is an error or the same bytes", "[save]") {
  Folder folder;
  const std::string good = bytes_of(make(folder, true));
  const auto look = [&](const std::string& bytes) {
    const std::string path = folder.put("x.zip", bytes);
    return message_of([&] {
      const file::ReadFile file("archive", path);
      Budget budget(file, std::nullopt);
      const ZipReader zip(file, budget);
      for (const ZipEntry& entry : zip.entries()) {
        budget.take(entry.size);
        std::string read(entry.size, '\0');
        zip.read(entry, read.data());
        if (entry.name == "a/one") CHECK((entry.crc == 0 || read == "head" + std::string(100000, 'x')));
      }
    });
  };
  for (size_t i = 0; i < good.size(); ++i) CHECK(look(good.substr(0, i)) != "no error");
  for (size_t i = 0; i < good.size() * 8; ++i) {
    std::string bytes = good;
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
    look(bytes);
  }
}

TEST_CASE("budget: what a file may take follows from its size", "[save]") {
  Folder folder;
  const file::ReadFile file("file", folder.put("x", std::string(1000, 'x')));
  Budget budget(file, std::nullopt);
  budget.take(uint64_t{40} << 20);
  CHECK_THAT(message_of([&] { budget.take(uint64_t{40} << 20); }), Holds("would take more than 64 MB"));
  CHECK_THAT(message_of([&] { budget.take(~uint64_t{0}); }), Holds("would take more than 64 MB"));
  Budget given(file, 100);
  given.take(100);
  CHECK_THAT(message_of([&] { given.take(1); }), Holds("would take more than"));
  std::vector<int64_t> items;
  Budget small(file, 1000);
  CHECK_THAT(message_of([&] {
               for (int i = 0; i < 1000; ++i) small.push(items, int64_t{1});
             }),
             Holds("would take more than"));
  CHECK(items.capacity() * sizeof(int64_t) <= 1000);
}

TEST_CASE("npy: the header is numpy's, and only numpy's is read", "[save]") {
  const Fail fail = [](const std::string& reason) { throw_io(reason); };
  const std::string header = npy_header(at::kFloat, {2, 3}, false);
  CHECK(header.size() % 64 == 0);
  CHECK(header.substr(10, 59) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  const NpyHeader back = read_npy_header(header, header.size() + 24, fail);
  CHECK(back.type == at::kFloat);
  CHECK(back.shape == std::vector<int64_t>{2, 3});
  CHECK(back.data == header.size());
  CHECK(back.bytes == 24);
  CHECK_THAT(message_of([&] { read_npy_header(header, header.size() + 23, fail); }),
             Holds("make 24 bytes, 23 are there"));
  const auto with = [&](const std::string& text) {
    std::string bytes("\x93NUMPY\1\0", 8);
    bytes.push_back(static_cast<char>(text.size()));
    bytes.push_back('\0');
    return message_of([&] { read_npy_header(bytes + text, 1000, fail); });
  };
  CHECK(with("{\"shape\": (5L, ), 'fortran_order': True, 'descr': '>i4'}") == "no error");
  for (const char* text :
       {"", "{", "{}", "[]", "{'descr': '<f4'}", "{'descr': '<f4', 'descr': '<f4', 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", "{'descr': '<f4', 'fortran_order': True, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': True, 'shape': 1}", "{'x': '<f4', 'fortran_order': True, 'shape': ()}"})
    CHECK_THAT(with(text), Holds("header is damaged"));
}
