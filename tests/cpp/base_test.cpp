// host/base: files and JSON from C++, errors.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/log.h"
#include "tests/cpp/catch.h"

using namespace trainhost;

namespace {

// An empty folder for one test.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/trainhost-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { file::remove(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <class F>
Error error_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  FAIL("no error");
  throw 0;
}

}  // namespace

TEST_CASE("an error says where, what and what to do") {
  Error error(ErrorKind::shape, "sizes differ", "transpose one");
  CHECK(std::string(error.what()) == "sizes differ (transpose one)");
  error.set_context("matmul", "a.lua:3", "trace");
  CHECK(std::string(error.what()) == "a.lua:3: sizes differ (transpose one)");
  for (const auto kind : {ErrorKind::usage, ErrorKind::io, ErrorKind::interrupted, ErrorKind::internal})
    CHECK(error_kind(name_of(kind)) == kind);
  CHECK(error_kind("nonsense") == ErrorKind::internal);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("an atomic write replaces the file and respects the umask") {
  Folder folder;
  const mode_t old = umask(027);
  file::write_atomic(folder / "a", "one");
  file::write_atomic(folder / "a", std::string("two\0!", 5));
  umask(old);
  CHECK(file::read(folder / "a") == std::string("two\0!", 5));
  struct stat st;
  REQUIRE(stat((folder / "a").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0640);
  CHECK(file::list(folder.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("a write that fails keeps the old file and leaves no other") {
  Folder folder;
  file::mkdir(folder / "d/x");
  const Error error = error_of([&] { file::write_atomic(folder / "d", "text"); });
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.what(), Holds("cannot write " + (folder / "d") + ": Is a directory"));
  CHECK(file::list(folder.path()) == std::vector<std::string>{"d"});
  CHECK_THAT(error_of([&] { file::write_atomic(folder / "no/a", "x"); }).what(), Holds("No such file or directory"));
}

TEST_CASE("files without a size, and large ones, are read whole") {
  CHECK_THAT(file::read("/proc/self/status"), Holds("Name:"));
  Folder folder;
  const std::string text(3'000'001, 'x');
  file::write_atomic(folder / "large", text);
  CHECK(file::read(folder / "large") == text);
  CHECK(file::size(folder / "large") == text.size());
  file::copy(folder / "large", folder / "copy");
  CHECK(file::read(folder / "copy") == text);
  file::rename(folder / "copy", folder / "large");
  CHECK_FALSE(file::exists(folder / "copy"));
  CHECK_THROWS_AS(file::read(folder.path()), Error);
}

TEST_CASE("a folder cannot be made where a file is") {
  Folder folder;
  file::append(folder / "f", "1");
  file::append(folder / "f", "2");
  CHECK(file::read(folder / "f") == "12");
  CHECK_THAT(error_of([&] { file::mkdir(folder / "f"); }).what(), Holds("cannot make folder"));
  CHECK_THAT(error_of([&] { file::mkdir(folder / "f/below"); }).what(), Holds("Not a directory"));
  file::mkdir(folder / "a/b");
  file::mkdir(folder / "a/b");
  CHECK(file::is_folder(folder / "a/b"));
  CHECK_FALSE(file::remove(folder / "nothing"));
}

TEST_CASE("JSON files are written atomically and named when they are damaged") {
  Folder folder;
  json::write(folder / "s.json", {{"b", 1}, {"a", {1.5, nullptr}}});
  CHECK(file::read(folder / "s.json") == "{\n  \"a\": [\n    1.5,\n    null\n  ],\n  \"b\": 1\n}\n");
  CHECK(json::read(folder / "s.json")["b"] == 1);
  file::write_atomic(folder / "s.json", "{\"a\": ");
  CHECK_THAT(error_of([&] { json::read(folder / "s.json"); }).what(),
             Holds((folder / "s.json") + ": not JSON at byte"));
}

TEST_CASE("the log is silent until a level is asked for") {
  CHECK(log::level() == log::Level::off);
  log::warn("this must not be seen");
  log::set_level(log::Level::warn);
  CHECK(log::level() == log::Level::warn);
  log::set_level(log::Level::off);
}
