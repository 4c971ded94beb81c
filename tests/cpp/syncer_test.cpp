// Power cuts: what is synced, when, and by whom; what may go only afterwards.
#include "host/track/syncer.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "host/base/file.h"
#include "host/base/sync.h"
#include "host/track/database.h"
#include "host/track/spool_sink.h"
#include "host/track/tracker.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"
#include "tests/cpp/spool_run.h"
#include "tests/cpp/synced.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace trainhost::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::mutex noted_mutex;
std::vector<Synced> noted;

int note_sync(int fd, long call) {
  std::error_code ignored;
  const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored);
  {
    std::lock_guard lock(noted_mutex);
    noted.push_back({path.filename().string(), static_cast<pid_t>(::syscall(SYS_gettid))});
  }
  return static_cast<int>(::syscall(call, fd));
}

const std::string kSegment = "0000000000000000.log";

// Looks until it is so; false: half a minute was not enough.
bool soon(const std::function<bool()>& is_so) {
  for (int i = 0; i < 3000; ++i) {
    if (is_so()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

// A store that says what is safe in it.
class Flushed : public Sink {
 public:
  size_t write(std::span<const Record> records, const Report&) override {
    written += records.size();
    return records.size();
  }
  void flush() override {
    if (fails) throw Error(ErrorKind::io, "no flush");
    safe = written;
    ++flushes;
  }
  bool fails = false;
  size_t written = 0, safe = 0, flushes = 0;
};

Record token() {
  Record record;
  record.kind = RecordKind::spooled;
  record.run = kRun;
  return record;
}

size_t segments(const std::string& folder) { return test::Folder::entries_of(folder + "/" + kRun + "/spool"); }

}  // namespace

extern "C" int fsync(int fd) { return note_sync(fd, SYS_fsync); }
extern "C" int fdatasync(int fd) { return note_sync(fd, SYS_fdatasync); }

namespace trainhost::test {

std::vector<Synced> synced() {
  std::lock_guard lock(noted_mutex);
  return noted;
}

void forget_synced() {
  std::lock_guard lock(noted_mutex);
  noted.clear();
}

}  // namespace trainhost::test

TEST_CASE("sync: files, and the folders above them until one whose name is safe; what is not there is passed over") {
  const test::Folder folder;
  fs::create_directories(folder / "a/b");
  const std::string one = folder.put("a/b/one", "1"), two = folder.put("a/b/two", "2");
  forget_synced();
  std::set<std::string> named{file::folder_of(folder.path)};
  file::sync({one, folder / "none", two}, named);
  for (const char* name : {"one", "two", "a", "b"}) CHECK(times_synced(name) == 1);
  CHECK(times_synced("none") == 0);
  CHECK(times_synced(folder.path.filename().string()) == 1);
  CHECK(synced().size() == 6);  // and the folder that was there before
  file::sync({one}, named);
  CHECK(synced().size() == 7);
  file::sync({folder.put("a/c", "3")}, named);
  CHECK(synced().size() == 9);  // it, and where it is
}

TEST_CASE("spool: sync makes safe what was put since the last one, with the files that wait beside it") {
  const test::Folder folder;
  SpoolOptions options;
  options.segment = 2000;
  Spool spool(folder / "runs", kRun, "http://host", options);
  Record file = metric(0, "model.bin");
  file.kind = RecordKind::file;
  file.value = folder.put("staged", "bytes");
  spool.put(file);
  forget_synced();
  spool.sync();
  for (const std::string& name : {kSegment, std::string("spool"), kRun, std::string("runs"), std::string("staged")})
    CHECK(times_synced(name) == 1);
  forget_synced();
  spool.sync();
  CHECK(synced().empty());
  for (int i = 0; i < 100; ++i) spool.put(metric(i));
  CHECK(times_synced("runs") == 0);
  const size_t files = segments(folder / "runs");
  REQUIRE(files > 3);
  spool.sync();
  CHECK(times_synced(kSegment) == 1);
  CHECK(synced().size() >= files);
  CHECK(times_synced("staged") == 0);
  forget_synced();
  spool.put(metric(100));
  spool.sync();
  CHECK(times_synced(kSegment) == 0);  // the last one alone
}

TEST_CASE("what is logged is synced without a flush, again and again, by a thread that neither logs nor stores") {
  const test::Folder folder;
  const auto spool = std::make_shared<Spool>(folder / "runs", kRun, "http://host");
  Syncer syncer;
  syncer.add(spool);
  forget_synced();
  spool->put(metric(0));
  CHECK(soon([] { return times_synced(kSegment) == 1; }));
  spool->put(metric(1));
  CHECK(soon([] { return times_synced(kSegment) == 2; }));
  spool->put(end_run());  // and what was put last is safe when the process ends
  syncer.stop();
  CHECK(times_synced(kSegment) == 3);
  for (const Synced& each : synced()) CHECK(each.thread != static_cast<pid_t>(::syscall(SYS_gettid)));
}

TEST_CASE("a file of a spool goes once the store has flushed what was in it, not before") {
  const test::Folder folder;
  SpoolOptions options;
  options.segment = 2000;
  const auto spools = std::make_shared<Spools>();
  const auto spool = std::make_shared<Spool>(folder / "runs", kRun, "sqlite:////x.db", options);
  spools->add(spool);
  for (int i = 0; i < 100; ++i) spool->put(metric(i));
  const size_t files = segments(folder / "runs");
  const auto store = std::make_shared<Flushed>();
  SpoolSink sink(store, spools);
  const Record one = token();
  const auto write = [&] { return sink.write(std::span(&one, 1), {}); };
  store->fails = true;
  CHECK_THROWS_AS(write(), Error);
  CHECK(segments(folder / "runs") == files);
  store->fails = false;
  while (write() == 0) CHECK(segments(folder / "runs") >= (100 - store->safe) * files / 100);
  CHECK(segments(folder / "runs") == 1);
  spool->put(end_run());
  while (write() == 0) {
  }
  CHECK(store->written == 101);
  CHECK(sink.wants_flush());
  CHECK(fs::exists(folder / "runs"));
  sink.flush();
  CHECK(store->safe == 101);
  CHECK_FALSE(fs::exists(folder / "runs"));
  CHECK_FALSE(sink.wants_flush());
}

TEST_CASE(
    "an ended run is flushed without being asked, its artifacts synced before the store has it, then its spool goes") {
  const test::Folder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  {
    Tracker tracker;
    const auto store = tracker.open("");
    const auto run = tracker.start_run(*store, {}, std::make_shared<Inbox>());
    REQUIRE(tracker.flush(20s));
    Database reader("mlflow.db", 30s);  // while it reads, SQLite leaves the log to be synced by us
    reader.run("BEGIN");
    CHECK(Statement(reader, "SELECT count(*) FROM runs").step());
    forget_synced();
    run->log_text("words", "notes/a.txt");
    run->log_metric("loss", 1, 0);
    run->end("FINISHED");
    CHECK(soon([&] { return !fs::exists(folder / ".trainhost"); }));
    const auto all = synced();
    const auto place = [&](const std::string& file) {
      return std::find_if(all.begin(), all.end(), [&](const Synced& each) { return each.file == file; });
    };
    CHECK(place("a.txt") < place("notes"));
    CHECK(place("notes") < place("mlflow.db-wal"));
    CHECK(place("artifacts") < place("mlflow.db-wal"));
    CHECK(place("mlflow.db-wal") != all.end());
  }
  fs::current_path(before);
}
