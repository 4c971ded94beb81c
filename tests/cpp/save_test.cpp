// safetensors files, files published in one step, and checkpoint folders.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "host/base/error.h"
#include "host/base/publish.h"
#include "host/save/checkpoint.h"
#include "host/save/checkpoint_writer.h"
#include "host/save/safetensors.h"
#include "host/save/safetensors_header.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

namespace {

using namespace trainhost;
using namespace trainhost::save;
using test::Folder;
namespace fs = std::filesystem;

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string with_header(const std::string& header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
  return bytes + header + data;
}

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  FAIL("expected an Error");
  throw;
}

const std::vector<at::ScalarType> kAllTypes = {at::kBool,
                                               at::kByte,
                                               at::kChar,
                                               at::kShort,
                                               at::kInt,
                                               at::kLong,
                                               at::kHalf,
                                               at::kBFloat16,
                                               at::kFloat,
                                               at::kDouble,
                                               at::kComplexFloat,
                                               at::ScalarType::UInt16,
                                               at::ScalarType::UInt32,
                                               at::ScalarType::UInt64,
                                               at::ScalarType::Float8_e4m3fn,
                                               at::ScalarType::Float8_e5m2,
                                               at::ScalarType::Float8_e8m0fnu,
                                               at::ScalarType::Float8_e4m3fnuz,
                                               at::ScalarType::Float8_e5m2fnuz};

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         (a.numel() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0);
}

}  // namespace

TEST_CASE("safetensors: every dtype, 0-dimensional and empty tensors come back in the order given", "[save]") {
  Folder folder;
  std::vector<NamedTensor> tensors;
  for (const auto type : kAllTypes)
    tensors.push_back(
        {"t" + std::to_string(tensors.size()), at::rand({3, 5})
                                                   .mul(1000)
                                                   .to(at::kByte)
                                                   .slice(1, 0, 5 * static_cast<int64_t>(1))
                                                   .repeat({1, static_cast<int64_t>(c10::elementSize(type))})
                                                   .contiguous()
                                                   .view(at::kByte)});
  for (size_t i = 0; i < kAllTypes.size(); ++i)
    tensors[i].tensor = kAllTypes[i] == at::kBool ? tensors[i].tensor.gt(100) : tensors[i].tensor.view(kAllTypes[i]);
  tensors.push_back({"scalar", at::scalar_tensor(2.5)});
  tensors.push_back({"empty", at::empty({0, 7})});
  tensors.push_back({"a name with \"quotes\", \n and \xc3\xa4", at::arange(3)});
  tensors.push_back({"turned", at::arange(6).view({2, 3}).t()});
  const std::string path = folder / "all.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}, {"note", "x"}});
  for (const bool map : {false, true}) {
    const TensorFile back = read_safetensors(path, map);
    REQUIRE(back.tensors.size() == tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      INFO(tensors[i].name);
      CHECK(back.tensors[i].name == tensors[i].name);
      CHECK(same_bytes(back.tensors[i].tensor, tensors[i].tensor.contiguous()));
      CHECK(reinterpret_cast<uintptr_t>(back.tensors[i].tensor.const_data_ptr()) %
                back.tensors[i].tensor.element_size() ==
            0);
    }
    CHECK(back.metadata == std::vector<std::pair<std::string, std::string>>{{"format", "pt"}, {"note", "x"}});
  }
  const std::string bytes = read(path);
  CHECK((static_cast<unsigned char>(bytes[0]) | (static_cast<unsigned char>(bytes[1]) << 8)) % 8 == 0);
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: mapped tensors can be written without changing the file, and outlive it", "[save]") {
  Folder folder;
  const std::string path = folder / "m.safetensors";
  write_safetensors(path, {{"x", at::arange(1000, at::kFloat)}});
  const std::string before = read(path);
  const auto x = read_safetensors(path, true).tensors[0].tensor;
  x.add_(1);
  CHECK(read(path) == before);
  fs::remove(path);
  CHECK(x[999].item<float>() == 1000);
}

TEST_CASE("safetensors: what cannot be written is refused and the old file stays", "[save]") {
  Folder folder;
  const std::string path = folder / "w.safetensors";
  write_safetensors(path, {{"x", at::arange(3)}});
  const std::string before = read(path);
  const auto refused = [&](std::vector<NamedTensor> tensors) {
    const Error e = error_of([&] { write_safetensors(path, tensors); });
    CHECK(read(path) == before);
    CHECK(folder.entries() == 1);
    return e.message();
  };
  const auto x = at::arange(3);
  CHECK_THAT(refused({{"x", x}, {"x", x}}), Holds("'x' is given twice"));
  CHECK_THAT(refused({{"__metadata__", x}}), Holds("cannot have the name"));
  CHECK_THAT(refused({{"", x}}), Holds("cannot have the name"));
  CHECK_THAT(refused({{"\xff", x}}), Holds("not valid UTF-8"));
  CHECK_THAT(refused({{"x", x.to(at::kComplexDouble)}}), Holds("which the format does not know"));
  CHECK_THAT(refused({{"x", at::Tensor()}}), Holds("'x' has no dense storage"));
  CHECK_THAT(refused({{"x", at::zeros({2}, at::kLong).to_sparse()}}), Holds("no dense storage"));
  CHECK_THAT(error_of([&] {
               write_safetensors(folder / "no/such/x.safetensors", {{"x", x}});
             }).message(),
             Holds("No such file"));
}

TEST_CASE("safetensors: every malformed header is an io error that says what is wrong", "[save]") {
  Folder folder;
  const auto failure = [&](const std::string& bytes) {
    const std::string path = folder.put("bad.safetensors", bytes);
    for (const bool map : {true, false}) {
      const Error e = error_of([&] { read_safetensors(path, map); });
      CHECK(name_of(e.kind()) == "io");
      CHECK_THAT(e.message(), Holds("safetensors file " + path));
      if (!map) return e.message();
    }
    return std::string();
  };
  const auto header = [&](const std::string& text, const std::string& data = "abcd") {
    return failure(with_header(text, data));
  };
  const auto entry = [&](const std::string& fields, const std::string& data = "abcd") {
    return header("{\"a\":{" + fields + "}}", data);
  };
  CHECK_THAT(failure(""), Holds("at least 8 bytes"));
  CHECK_THAT(failure("\x10\0\0\0\0\0\0"), Holds("at least 8 bytes"));
  CHECK_THAT(failure(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), Holds("the file holds 2"));
  const std::string large = folder.put("large", std::string("\x01\xe1\xf5\x05\0\0\0\0", 8));
  fs::resize_file(large, 8 + 100'000'001);  // of zeros that take no room
  CHECK_THAT(error_of([&] { read_safetensors(large); }).message(), Holds("at most 100000000"));
  CHECK_THAT(header("", ""), Holds("does not begin with '{'"));
  CHECK_THAT(header(" {}", ""), Holds("does not begin with '{'"));
  CHECK_THAT(header("{", ""), Holds("not valid JSON"));
  CHECK_THAT(header("{} x", ""), Holds("not valid JSON"));
  CHECK_THAT(header("{\"a\":1}"), Holds("a number where it does not belong, at 'a'"));
  CHECK_THAT(header("{\"a\":[]}"), Holds("a list where it does not belong"));
  CHECK_THAT(header("{\"a\":{\"dtype\":{\"b\":1}}}"), Holds("an object where it does not belong"));
  CHECK_THAT(header("{\"a\":" + std::string(100000, '[')), Holds("a list where it does not belong"));
  CHECK_THAT(header("{\"a\":{\"shape\":" + std::string(100000, '[')), Holds("a list where it does not belong"));
  CHECK_THAT(header("{\"__metadata__\":{\"a\":1}}", ""), Holds("a number where it does not belong"));
  CHECK_THAT(header("{\"__metadata__\":{\"a\":{}}}", ""), Holds("an object where it does not belong"));
  CHECK_THAT(header("{\"__metadata__\":{},\"__metadata__\":{}}", ""), Holds("twice"));
  CHECK_THAT(header("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", ""), Holds("metadata key 'a' twice"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1])"), Holds("lacks one of"));
  CHECK_THAT(entry(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), Holds("'dtype' twice"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1)"), Holds("unknown field 'x'"));
  CHECK_THAT(entry(R"("dtype":"F6_E2M3","shape":[1],"data_offsets":[0,4])"), Holds("'F6_E2M3', which LibTorch lacks"));
  CHECK_THAT(entry(R"("dtype":["F32"],"shape":[1],"data_offsets":[0,4])"), Holds("a list"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), Holds("a number"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), Holds("a negative number"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), Holds("a fraction"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[true],"data_offsets":[0,4])"), Holds("a boolean"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[null],"data_offsets":[0,4])"), Holds("null"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), Holds("expected 2 numbers"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), Holds("expected 2 numbers"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), Holds("ends before it begins"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), Holds("make 8 bytes, data_offsets 4"));
  CHECK_THAT(entry(R"("dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4])"), Holds("beyond 2^63"));
  CHECK_THAT(entry(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])", ""), Holds("beyond 2^63"));
  CHECK_THAT(entry(R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0])", ""), Holds("beyond 2^63"));
  CHECK_THAT(entry(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0])", ""), Holds("beyond 2^63"));
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += ",1";
  CHECK_THAT(entry("\"dtype\":\"F32\",\"shape\":[" + many + "],\"data_offsets\":[0,4]"), Holds("64 dimensions"));
  const std::string a = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)";
  CHECK_THAT(header(a + R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", "abcdefgh"), Holds("'a' twice"));
  CHECK_THAT(header(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})", "abcdefg"), Holds("expected 4"));
  CHECK_THAT(header(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", "abcdefghi"), Holds("expected 4"));
  CHECK_THAT(header(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", "abcdefg"), Holds("need 8 bytes"));
  CHECK_THAT(header(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", "abcdefghi"), Holds("need 8 bytes"));
  CHECK_THAT(header(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\x01\x02"), Holds("other than 0"));
  CHECK_THAT(error_of([&] { read_safetensors(folder / "absent"); }).message(), Holds("No such file"));
  CHECK_THAT(error_of([&] { read_safetensors(folder.path.string()); }).message(), Holds("not a regular file"));
  ::mkfifo((folder / "fifo").c_str(), 0600);
  CHECK_THAT(error_of([&] { read_safetensors(folder / "fifo"); }).message(), Holds("not a regular file"));
  CHECK(read_safetensors(folder.put("none", with_header("{}", ""))).tensors.empty());
}

TEST_CASE("safetensors: bit flips and cuts give an error or tensors of the file's own bytes, never a crash", "[save]") {
  Folder folder;
  std::vector<NamedTensor> tensors = {{"a", at::rand({7, 3})},
                                      {"mask", at::tensor({1, 0, 1}).to(at::kBool)},
                                      {"b", at::arange(5, at::kLong)},
                                      {"none", at::empty({0})}};
  const std::string good = read((write_safetensors(folder / "good", tensors, {{"format", "pt"}}), folder / "good"));
  const size_t data = 8 + static_cast<unsigned char>(good[0]) + (static_cast<unsigned char>(good[1]) << 8);
  int errors = 0, loaded = 0;
  const auto attempt = [&](const std::string& bytes, bool must_fail) {
    const std::string path = folder.put("bad", bytes);
    try {
      const auto back = read_safetensors(path, (errors + loaded) % 2);
      REQUIRE(!must_fail);
      ++loaded;
      for (const auto& t : back.tensors) REQUIRE(t.tensor.nbytes() <= bytes.size());
    } catch (const Error& e) {
      REQUIRE(name_of(e.kind()) == "io");
      ++errors;
    }
  };
  for (size_t bit = 0; bit < data * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    attempt(bytes, bit < 64);
  }
  for (size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length), true);
  std::string extended = good + "x";
  attempt(extended, true);
  CHECK(errors > 1500);
  CHECK(loaded > 0);
}

TEST_CASE("new file: nothing appears before publish, a failed write leaves the old file and no other", "[save]") {
  Folder folder;
  const std::string path = folder.put("file", "old");
  {
    file::NewFile file(path);
    file.write("new");
    CHECK(read(path) == "old");
  }
  CHECK(folder.entries() == 1);
  struct rlimit before, little;
  getrlimit(RLIMIT_FSIZE, &before);
  little = before;
  little.rlim_cur = 1 << 16;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &little);
  const Error e = error_of([&] {
    file::NewFile file(path);
    file.write(std::string(1 << 20, 'x'));
    file.publish();
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(e.message() == "cannot write " + path + ": File too large");
  CHECK(read(path) == "old");
  CHECK(folder.entries() == 1);
  folder.put(".file.tmp-999999999-0", "left by a process that was killed");
  file::NewFile file(path);
  file.write("new");
  file.publish();
  CHECK(read(path) == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("checkpoint: comes back whole, replaces an older one in one step, and links move", "[save]") {
  Folder folder;
  const std::string path = folder / "runs/ckpt";
  const auto x = at::rand({4});
  write_checkpoint(path, {{{"model", {{"w", x}}}, {"optimizer", {}}}, {{"state.json", "{\"epoch\": 1}"}}});
  write_checkpoint(path + "/", {{{"model", {{"w", x.add(1)}}}}, {{"state.json", "{\"epoch\": 2}"}}});
  const Checkpoint back = read_checkpoint(path);
  REQUIRE(back.tensors.size() == 1);
  CHECK(back.tensors[0].first == "model");
  CHECK(at::equal(back.tensors[0].second[0].tensor, x.add(1)));
  CHECK(back.texts[0].second == "{\"epoch\": 2}");
  CHECK(!fs::exists(path + "/optimizer.safetensors"));
  CHECK(std::distance(fs::directory_iterator(folder / "runs"), {}) == 1);
  folder.put("runs/.latest.tmp-999999999-0", "left by a process that was killed");
  file::publish_link("ckpt", folder / "runs/latest");
  file::publish_link("ckpt", folder / "runs/latest");
  CHECK(fs::read_symlink(folder / "runs/latest") == "ckpt");
  CHECK(read_checkpoint(folder / "runs/latest").texts.size() == 1);
  const Error e = error_of([&] { write_checkpoint(path, {{{"model", {{"", x}}}}, {}}); });
  CHECK(name_of(e.kind()) == "usage");
  CHECK(read_checkpoint(path).texts[0].second == "{\"epoch\": 2}");
  CHECK(std::distance(fs::directory_iterator(folder / "runs"), {}) == 2);
  for (const std::string name : {"../x", "", ".x", "a/b", "manifest.json", "x.safetensors"})
    CHECK_THROWS_AS(write_checkpoint(folder / "c", {{}, {{name, ""}}}), Error);
  CHECK(!fs::exists(folder / "c"));
}

TEST_CASE("checkpoint: a missing, cut or foreign folder is an io error", "[save]") {
  Folder folder;
  const std::string path = folder / "c";
  const auto failure = [&](const std::string& at) {
    const Error e = error_of([&] { read_checkpoint(at); });
    CHECK(name_of(e.kind()) == "io");
    return e.message();
  };
  CHECK_THAT(failure(path), Holds("no such folder"));
  fs::create_directories(path);
  CHECK_THAT(failure(path), Holds("has no manifest.json"));
  const auto manifest = [&](const std::string& text) {
    folder.put("c/manifest.json", text);
    return failure(path);
  };
  CHECK_THAT(manifest("{"), Holds("damaged"));
  CHECK_THAT(manifest(std::string(500000, '[')), Holds("damaged"));
  CHECK_THAT(manifest("[]"), Holds("damaged"));
  CHECK_THAT(manifest(R"({"format":"trainhost-checkpoint"})"), Holds("no version"));
  CHECK_THAT(manifest(R"({"format":"trainhost-checkpoint","version":3,"files":[]})"), Holds("version is 3"));
  CHECK_THAT(manifest(R"({"format":"trainhost-checkpoint","version":2,"files":[]})"), Holds("its checksum is another"));
  CHECK_THAT(manifest(R"({"format":"trainhost-checkpoint","version":1,"files":7})"), Holds("no list of files"));
  const auto listed = [&](const std::string& row) {
    return manifest(R"({"format":"trainhost-checkpoint","version":1,"files":[)" + row + "]}");
  };
  CHECK_THAT(listed("3"), Holds("a bad row"));
  CHECK_THAT(listed(R"({"name":"../c/manifest.json","bytes":1})"), Holds("a bad row"));
  CHECK_THAT(listed(R"({"name":"a","bytes":-1})"), Holds("a bad row"));
  CHECK_THAT(listed(R"({"name":"a.json","bytes":1})"), Holds("No such file"));
  fs::remove_all(path);
  write_checkpoint(path, {{{"model", {{"w", at::rand({4})}}}}, {{"state.json", "{}"}}});
  const std::string file = path + "/model.safetensors", good = read(file);
  for (const size_t length : {size_t{0}, good.size() / 2, good.size() - 1}) {
    folder.put("c/model.safetensors", good.substr(0, length));
    CHECK_THAT(failure(path), Holds("the manifest says " + std::to_string(good.size())));
  }
  fs::remove(file);
  CHECK_THAT(failure(path), Holds("No such file"));
}

TEST_CASE("checkpoint: every flipped bit and every cut of every file is found, and its place named", "[save]") {
  Folder folder;
  const std::string path = folder / "c", other = folder / "d";
  const auto make = [](const std::string& at, double value) {
    write_checkpoint(
        at, {{{"model", {{"w", at::tensor({value, value, value, value})}, {"n", at::tensor({1, 0, 1}).to(at::kBool)}}}},
             {{"state.json", "{\"epoch\": 1}"}}});
  };
  make(path, 1.5);
  make(other, 2.5);
  CHECK(check_checkpoint(path).size() == 2);
  int cases = 0;
  for (const std::string name : {"manifest.json", "model.safetensors", "state.json"}) {
    const std::string good = read(path + "/" + name);
    const auto must_fail = [&](const std::string& bytes) {
      folder.put("c/" + name, bytes);
      const Error e = error_of([&] { read_checkpoint(path); });
      REQUIRE(name_of(e.kind()) == "io");
      ++cases;
      return e.message();
    };
    for (size_t bit = 0; bit < good.size() * 8; bit += name == "manifest.json" ? 7 : 1) {
      std::string bytes = good;
      bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
      must_fail(bytes);
    }
    for (size_t length = 0; length < good.size(); length += 5) must_fail(good.substr(0, length));
    if (name != "manifest.json")
      CHECK_THAT(must_fail(read(other + "/" + name).append(name == "state.json" ? " " : "")), Holds(name));
    if (name == "model.safetensors") {
      std::string bytes = good;
      bytes[bytes.size() - 4] ^= 1;  // within w: it lies first, n last
      CHECK_THAT(must_fail(bytes), Holds("in the tensor 'w'"));
    }
    folder.put("c/" + name, good);
  }
  CHECK(cases > 2300);
  CHECK(read_checkpoint(path).tensors.size() == 1);
}

TEST_CASE("checkpoint: one of format version 1, without checksums, loads", "[save]") {
  Folder folder;
  const std::string path = folder / "c";
  write_checkpoint(path, {{{"model", {{"w", at::tensor({1.0, 1.0})}}}}, {{"state.json", "{}"}}});
  const auto bytes = std::to_string(fs::file_size(path + "/model.safetensors"));
  folder.put("c/manifest.json",
             R"({"format":"trainhost-checkpoint","version":1,"files":[{"name":"model.safetensors","bytes":)" + bytes +
                 R"(},{"name":"state.json","bytes":2}]})");
  CHECK(at::equal(read_checkpoint(path).tensors[0].second[0].tensor, at::tensor({1.0, 1.0})));
}

TEST_CASE("checkpoint writer: endings that nobody asks for are kept for a while, and are never waited for", "[save]") {
  Folder folder;
  save::CheckpointWriter writer;
  const auto stop = [] { return false; };
  std::vector<uint64_t> tickets;
  for (int i = 0; i < 100; ++i) {
    save::CheckpointWriter::Target target;
    target.path = folder / "c";
    tickets.push_back(writer.submit(target, {{}, {{"state.json", "{}"}}}, stop));
  }
  const auto newest = writer.wait(tickets.back(), stop);
  REQUIRE(newest);
  CHECK(newest->is_written);
  size_t told = 0;
  for (const uint64_t ticket : tickets) {
    const auto ending = writer.wait(ticket, stop);
    REQUIRE(ending);
    told += ending->is_written;
  }
  CHECK(told == 63);  // and the one that has been told
}
