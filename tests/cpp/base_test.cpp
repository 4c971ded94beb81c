// host/base: files, errors, threads, UTF-8.
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/base/file_lock.h"
#include "host/base/http.h"
#include "host/base/log.h"
#include "host/base/thread.h"
#include "host/base/utf8.h"
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

TEST_CASE("what a killed writer left beside a file goes with the next write; a living one's stays") {
  Folder folder;
  file::append(folder / ".a.tmp-999999999-0", "left");
  file::append(folder / (".a.tmp-" + std::to_string(getpid()) + "-x"), "of a writer that lives");
  file::write_atomic(folder / "a", "new");
  CHECK(file::read(folder / "a") == "new");
  CHECK(file::list(folder.path()) == std::vector<std::string>{".a.tmp-" + std::to_string(getpid()) + "-x", "a"});
}

TEST_CASE("UTF-8 sequences are measured, and what is none has no length") {
  for (const char* good : {"a", "\xc3\xbc", "\xe2\x9c\x93", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(utf8_sequence(good, 0) == std::string(good).size());
  for (const char* bad : {"\x80", "\xc1\x80", "\xc3", "\xc3x", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    CHECK(utf8_sequence(bad, 0) == 0);
}

TEST_CASE("a thread of ours takes no signals, and its maker keeps its own") {
  sigset_t inside, after;
  start_thread("trainhost-test", [&] { pthread_sigmask(SIG_SETMASK, nullptr, &inside); }).join();
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(sigismember(&inside, SIGINT) == 1);
  CHECK(sigismember(&inside, SIGSEGV) == 0);
  CHECK(sigismember(&after, SIGINT) == 0);
}

TEST_CASE("the log is silent until a level is asked for") {
  CHECK(log::level() == log::Level::off);
  log::warn("this must not be seen");
  log::set_level(log::Level::warn);
  CHECK(log::level() == log::Level::warn);
  log::set_level(log::Level::off);
}

TEST_CASE("URLs in messages hold no secrets") {
  using trainhost::http::shown_url;
  CHECK(shown_url("http://localhost:9000/a/b") == "http://localhost:9000/a/b");
  CHECK(shown_url("https://me:pass@host:1/a?token=x#y") == "https://host:1/a");
  CHECK(shown_url("https://me:p@ss@host/a@b") == "https://host/a@b");
  for (const char* odd : {"https://me:pa/ss@host", "https://me:pa?ss@host/x", "https://me:pa#ss@host"})
    CHECK(shown_url(odd) == "https://");
}

TEST_CASE("text is encoded for URLs and for basic authorization") {
  using trainhost::http::basic_authorization;
  CHECK(trainhost::http::url_encoded("a b/ü~1.-_") == "a%20b%2F%C3%BC~1.-_");
  CHECK(basic_authorization("", "") == "Basic Og==");
  CHECK(basic_authorization("a", "") == "Basic YTo=");
  CHECK(basic_authorization("a", "b") == "Basic YTpi");
  CHECK(basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST_CASE("a request to nobody fails at once, and says where") {
  trainhost::http::Client client;
  trainhost::http::Request request;
  request.url = "http://me:secret@127.0.0.1:1/x?token=secret";
  try {
    client.send(request);
    FAIL("it was answered");
  } catch (const trainhost::http::RequestError& e) {
    CHECK(e.failure() == trainhost::http::Failure::connect);
    CHECK(e.message().find("GET http://127.0.0.1:1/x: ") == 0);
    CHECK(e.message().find("secret") == std::string::npos);
  }
}

TEST_CASE("a lock is one owner's, whatever path leads to it, and ends with its process") {
  Folder folder;
  file::mkdir(folder / "a");
  REQUIRE(symlink((folder / "a").c_str(), (folder / "b").c_str()) == 0);
  file::FileLock first, second;
  CHECK(first.take(folder / "a/lock", false) == ENOENT);
  int ready[2], go[2];
  REQUIRE((pipe(ready) == 0 && pipe(go) == 0));
  const pid_t child = fork();
  if (child == 0) {
    file::FileLock mine;
    char byte = mine.take(folder / "a/lock", true, "the child") == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1) kill(getpid(), SIGKILL);
    _exit(1);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  CHECK(byte == 'y');
  CHECK(first.take(folder / "b/lock", true) == EBUSY);
  CHECK(first.holder() == "the child");
  REQUIRE(write(go[1], &byte, 1) == 1);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(first.take(folder / "a/lock", false, "me") == 0);
  CHECK(second.take(folder / "b/lock", true) == EBUSY);
  CHECK(second.holder().empty());
  first.release();
  CHECK(file::read(folder / "a/lock") == "me");
  CHECK(second.take(folder / "b/lock", true) == 0);
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) close(fd);
}
