// The spool of a run: frames, segments, the lock, the disk that refuses.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "host/base/file.h"
#include "host/track/delivery.h"
#include "host/track/frame.h"
#include "host/track/spool.h"
#include "host/track/spool_sink.h"
#include "host/track/tracker.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"
#include "tests/cpp/spool_run.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace trainhost::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

size_t segments(const std::string& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder + "/" + kRun + "/spool")) ++count;
  return count;
}

// Logs until the disk refuses; how much it took.
uint64_t fill(Spool& spool) {
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit now{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &now);
  uint64_t kept = 0;
  while (spool.put(metric(static_cast<int64_t>(kept))) == Spool::Put::kept) ++kept;
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  return kept;
}

// A store that keeps what it is given, unless it is closed.
class Kept : public Sink {
 public:
  size_t write(std::span<const Record> records, const Report&) override {
    if (closed) throw Error(ErrorKind::tracking, "the store is closed");
    for (const Record& record : records) steps.push_back(record.kind == RecordKind::end_run ? -1 : record.step);
    return records.size();
  }
  void flush() override {}
  bool closed = false;
  std::vector<int64_t> steps;
};

Record token() {
  Record record;
  record.kind = RecordKind::spooled;
  record.run = kRun;
  return record;
}

}  // namespace

TEST_CASE("spool: a frame holds all of a record, and any changed bit is found") {
  Record record = metric(-7, "a/b");
  record.kind = RecordKind::text;
  record.value = std::string("x\0y", 3) + std::string(300, 'z');
  record.extra = "extra";
  std::string frame;
  append_frame(frame, record);
  const auto back = read_frame(frame + "more");
  REQUIRE(back);
  CHECK(back->second == frame.size());
  const Record& r = back->first;
  CHECK((r.kind == record.kind && r.run == record.run && r.key == record.key && r.value == record.value));
  CHECK((r.extra == record.extra && r.number == 0.5 && r.step == -7 && r.timestamp == 1234));
  for (size_t size = 0; size < frame.size(); ++size) CHECK_FALSE(read_frame(std::string_view(frame).substr(0, size)));
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string bad = frame;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(read_frame(bad));
  }
}

TEST_CASE("spool: what is put comes out in order, files go when they are stored, all go when the run has ended") {
  const test::Folder folder;
  SpoolOptions options;
  options.segment = 2000;
  Spool spool(folder / "runs", kRun, "sqlite:////x.db", options);
  for (int i = 0; i < 100; ++i) CHECK(spool.put(metric(i)) == Spool::Put::kept);
  CHECK(spool.waiting() == 100);
  CHECK(segments(folder / "runs") > 3);
  const auto steps = drain(spool, 7);
  REQUIRE(steps.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(steps[static_cast<size_t>(i)] == i);
  CHECK(segments(folder / "runs") == 1);
  CHECK(spool.waiting() == 0);
  CHECK_FALSE(spool.remove());  // it may go on
  spool.put(end_run());
  CHECK_FALSE(spool.remove());
  drain(spool);
  CHECK(spool.remove());
  CHECK_FALSE(fs::exists(folder / "runs"));
  CHECK(spool.put(metric(1)) == Spool::Put::refused);
}

TEST_CASE("spool: a record longer than a block is read whole") {
  const test::Folder folder;
  Spool spool(folder / "runs", kRun, "sqlite:////x.db");
  Record text = metric(0);
  text.kind = RecordKind::text;
  text.value = std::string(3 << 20, 'x');
  spool.put(metric(0));
  spool.put(text);
  spool.put(metric(1));
  CHECK(drain(spool).size() == 3);
}

TEST_CASE("spool: beyond its bound metrics are dropped and counted, the rest is kept") {
  const test::Folder folder;
  SpoolOptions options;
  options.capacity = 3000;
  Spool spool(folder / "runs", kRun, "sqlite:////x.db", options);
  for (int i = 0; i < 100; ++i) spool.put(metric(i));
  CHECK(spool.lost > 50);
  CHECK(spool.waiting() + spool.lost == 100);
  CHECK(spool.put(end_run()) == Spool::Put::kept);
  drain(spool);
  CHECK(spool.put(metric(1)) == Spool::Put::kept);
}

TEST_CASE("spool: a disk that refuses leaves whole records") {
  const test::Folder folder;
  Spool spool(folder / "runs", kRun, "sqlite:////x.db");
  const uint64_t kept = fill(spool);
  CHECK(kept > 3);
  CHECK(spool.put(metric(0)) == Spool::Put::refused);
  CHECK(drain(spool).size() == kept);
}

TEST_CASE("spool: the end of a run that the disk does not take removes the spool once all is stored, in order") {
  const test::Folder folder;
  const auto spools = std::make_shared<Spools>();
  const auto spool = std::make_shared<Spool>(folder / "runs", kRun, "sqlite:////x.db");
  spools->add(spool);
  const auto kept = static_cast<int64_t>(fill(*spool));
  const auto store = std::make_shared<Kept>();
  SpoolSink sink(store, spools);
  const std::vector<Record> queued{token(), metric(kept), end_run()};  // what the disk has refused waits in memory
  CHECK(sink.count(queued) == static_cast<size_t>(kept) + 2);
  store->closed = true;
  CHECK_THROWS_AS(sink.write(queued, {}), Error);
  CHECK(sink.count(queued) == static_cast<size_t>(kept) + 2);
  store->closed = false;
  for (size_t done = 0; done < queued.size();) {
    CHECK(fs::exists(folder / "runs"));
    done += sink.write(std::span(queued).subspan(done), {});
  }
  REQUIRE(store->steps.size() == static_cast<size_t>(kept) + 2);
  for (int64_t i = 0; i <= kept; ++i) CHECK(store->steps[static_cast<size_t>(i)] == i);
  CHECK(store->steps.back() == -1);
  sink.flush();
  CHECK_FALSE(fs::exists(folder / "runs"));
  CHECK_FALSE(spools->find(kRun));
}

TEST_CASE("spool: a run that goes on after the disk has refused keeps its spool, and what comes then in memory") {
  const test::Folder folder;
  Spool spool(folder / "runs", kRun, "sqlite:////x.db");
  const uint64_t kept = fill(spool);
  spool.end();
  CHECK(spool.revive());
  CHECK_FALSE(spool.ended());
  CHECK(spool.put(metric(0)) == Spool::Put::refused);
  CHECK(drain(spool).size() == kept);
}

TEST_CASE("spool: a run is never over before it has begun") {
  const test::Folder folder;
  Record start = metric(0);
  start.kind = RecordKind::start_run;
  start.timestamp = now_ms() + 1000;  // the clock of the file is behind
  Spool spool(folder / "runs", kRun, "sqlite:////x.db");
  CHECK(spool.last_sign() < start.timestamp);
  spool.put(start);
  CHECK(spool.last_sign() == start.timestamp);
}

TEST_CASE("spool: a run that has ended holds no file open but its lock, and none once all is stored") {
  const test::Folder folder;
  const auto descriptors = [] { return std::distance(fs::directory_iterator("/dev/fd"), fs::directory_iterator()); };
  const auto before = descriptors();
  std::vector<std::unique_ptr<Spool>> spools;
  for (int i = 0; i < 20; ++i) {
    std::string run = kRun;
    run[0] = static_cast<char>('b' + i);
    spools.push_back(std::make_unique<Spool>(folder / "runs", run, "sqlite:////x.db"));
    spools.back()->put(metric(i));
    spools.back()->put(end_run());
  }
  CHECK(descriptors() == before + 20);
  CHECK(spools[0]->revive());
  CHECK(spools[0]->put(metric(7)) == Spool::Put::kept);
  spools[0]->put(end_run());
  CHECK(drain(*spools[0]) == std::vector<int64_t>{0, 0, 7, 0});
  for (const auto& spool : spools) {
    drain(*spool);
    CHECK(spool->remove());
  }
  CHECK(descriptors() == before);
}

TEST_CASE("spool: no descriptor left is not called another process") {
  const test::Folder folder;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  std::string said;
  try {
    Spool spool(folder / "runs", kRun, "sqlite:////x.db");
  } catch (const Error& e) {
    said = e.message();
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK_THAT(said, Holds("Too many open files"));
}

TEST_CASE("spool: what a start or an end that was cut short leaves empty is removed") {
  const test::Folder folder;
  const fs::path home = folder.path / ".trainhost", runs = home / "runs", run = runs / kRun;
  const std::string left = GENERATE("", "runs", "runs/RUN", "runs/RUN/spool", "runs/RUN/lock", "both");
  CAPTURE(left);
  fs::create_directories(left == "" ? home : left == "runs" ? runs : left == "runs/RUN/spool" ? run / "spool" : run);
  if (left == "both") fs::create_directories(run / "spool");
  if (left == "runs/RUN/lock" || left == "both") std::ofstream(run / "lock").close();
  Tracker tracker;
  CHECK(tracker.recover(runs).runs == 0);
  CHECK_FALSE(fs::exists(home));
}

TEST_CASE("spool: what others have put into the folders stays") {
  const test::Folder folder;
  const fs::path runs = folder.path / ".trainhost" / "runs";
  fs::create_directories(runs / kRun / "ckpt");
  std::ofstream(runs / kRun / "lock").close();
  Tracker tracker;
  CHECK(tracker.recover(runs).runs == 0);
  CHECK(fs::exists(runs / kRun / "ckpt"));
  CHECK_FALSE(fs::exists(runs / kRun / "lock"));
}

TEST_CASE("spool: one that is just being made does not lose to who removes what is empty") {
  const test::Folder folder;
  const fs::path runs = folder.path / ".trainhost" / "runs";
  std::atomic<bool> over{false};
  std::thread remover([&] {
    Tracker tracker;
    while (!over) {
      tracker.recover(runs);
      std::this_thread::sleep_for(1ms);
    }
  });
  for (int i = 0; i < 100; ++i) {
    try {
      Spool spool(runs, new_id(), "sqlite:////x.db");
      CHECK(spool.put(end_run()) == Spool::Put::kept);
      CHECK(drain(spool).size() == 1);
      CHECK(spool.remove());
    } catch (const Error& e) {
      FAIL_CHECK(e.message());
    }
  }
  over = true;
  remover.join();
}

TEST_CASE("what a server has of a spool is noted beside it, for that spool alone, and goes with it") {
  const test::Folder folder;
  const std::string run = folder / kRun;
  leave(folder.path.string(), 3);
  CHECK(read_delivery(run, "spool").position == 0);
  REQUIRE(note_server_run(run, {"theirs", "s3://user:secret@bucket", 7}));
  note_position(run, "spool", 0x1234567890);
  note_position(run, "spool", 42);
  const Delivery noted = read_delivery(run, "spool");
  CHECK(noted.position == 42);
  REQUIRE(noted.run);
  CHECK((noted.run->id == "theirs" && noted.run->experiment_id == 7 && noted.run->artifact_uri.empty()));
  CHECK(read_delivery(run, "other").position == 0);
  for (const char* damage : {"", "{", "[]", "{\"run_id\": 1, \"experiment_id\": 1}", "{\"run_id\": \"a\"}"}) {
    folder.put(kRun + "/remote/run.json", damage);
    CHECK_FALSE(read_delivery(run, "spool").run);
  }
  for (const char* damage : {"", "spool ", "spool 000000000000002", "spool 00000000000000zz\n"}) {
    folder.put(kRun + "/remote/position", damage);
    CHECK(read_delivery(run, "spool").position == 0);
  }
  const auto spool = Spool::adopt(folder.path.string(), kRun);
  spool->put(end_run());
  drain(*spool);
  CHECK(spool->remove());
  CHECK_FALSE(fs::exists(run));
}

TEST_CASE("a spool of a store that is not wanted is left alone, and so is what it holds") {
  const test::Folder folder;
  leave(folder.path.string(), 3);
  std::string asked;
  const auto wanted = [&](bool answer) {
    return [&asked, answer](const std::string& store) {
      asked = store;
      return answer;
    };
  };
  CHECK_FALSE(Spool::adopt(folder.path.string(), kRun, {}, wanted(false)));
  CHECK(asked == "sqlite:////x.db");
  const auto spool = Spool::adopt(folder.path.string(), kRun, {}, wanted(true));
  REQUIRE(spool);
  CHECK(spool->waiting() == 3);
}

namespace {

// A server that makes runs, and takes nothing of those that it holds.
struct Remote : Sink {
  std::shared_ptr<RemoteRuns> runs;
  std::vector<std::string> calls;
  bool refuses = false;
  size_t write(std::span<const Record> records, const Report&) override {
    if (refuses) return 0;
    calls.push_back(std::to_string(static_cast<int>(records.front().kind)) + " x" + std::to_string(records.size()));
    if (records.front().kind == RecordKind::start_run) runs->add(kRun, {"theirs", "", 0});
    return records.size();
  }
  void flush() override {}
  bool holds(const std::string&) const override { return refuses; }
};

}  // namespace

TEST_CASE("a server's answers are noted after each batch, after each file and after the creation of the run") {
  const test::Folder folder;
  const auto runs = std::make_shared<RemoteRuns>();
  const auto remote = std::make_shared<Remote>();
  remote->runs = runs;
  const auto spools = std::make_shared<Spools>();
  const auto spool = std::make_shared<Spool>(folder.path.string(), kRun, "http://host");
  spools->add(spool);
  const std::string staged = folder.put("staged", "bytes");
  spools->stage(5);
  Record start, file;
  start.kind = RecordKind::start_run;
  file.kind = RecordKind::file;
  file.value = staged;
  file.step = 5;
  start.run = file.run = kRun;
  for (const Record& record : {start, metric(0), metric(1), file, metric(2)}) spool->put(record);
  SpoolSink sink(remote, spools, runs);
  Record token;
  token.kind = RecordKind::spooled;
  token.run = kRun;
  const auto write = [&] { return sink.write(std::span(&token, 1), [](const Event&) {}); };
  const auto noted = [&] { return read_delivery(spool->folder(), spool->id()); };
  CHECK(write() == 0);
  CHECK(noted().run->id == "theirs");
  CHECK(write() == 0);
  CHECK(remote->calls == std::vector<std::string>{"0 x1", "2 x3"});
  CHECK_FALSE(fs::exists(staged));
  CHECK(spools->has_room(uint64_t{1} << 40));  // none waits any more
  const uint64_t position = noted().position;
  remote->refuses = true;
  CHECK(write() == 1);
  CHECK(noted().position == position);
  CHECK(spool->waiting() == 1);
  CHECK(spools->held() == 1);
  spool->put(end_run());
  CHECK(write() == 1);
  CHECK(fs::exists(spool->folder()));
}

TEST_CASE("files that wait for a server are bounded: more are dropped with an event, and metrics go on") {
  const test::Folder folder;
  const auto spools = std::make_shared<Spools>(100);
  const auto spool = std::make_shared<Spool>(folder.path.string(), kRun, "http://host");
  spools->add(spool);
  std::vector<Event> events;
  const auto report = [&](Event event) { events.push_back(std::move(event)); };
  Run run(std::make_shared<Queue>(QueueOptions(), report), 0, {kRun, "", "", "RUNNING"}, report,
          std::make_shared<RemoteRuns>(), staging_place(folder / kRun));
  spool->told = true;  // nobody sends
  run.spool_to(spool, spools);
  const auto log = [&](size_t size) {
    const std::string name = std::to_string(size) + ".bin";
    run.log_artifact(folder.put(name, std::string(size, 'x')), "models");
    return events.size();
  };
  CHECK(log(150) == 0);  // alone it may be more than fits
  CHECK(log(20) == 1);
  CHECK(events[0].message.find("'models/20.bin'") != std::string::npos);
  CHECK(events[0].message.find("is dropped") != std::string::npos);
  run.log_metric("loss", 1.0, 0);
  spools->unstage(150);
  CHECK(log(60) == 1);
  CHECK(log(40) == 1);
  CHECK(log(1) == 2);
  CHECK(spool->waiting() == 4);  // three files and the metric
}

TEST_CASE("files that a process has left for a server are counted, but for those that the server has") {
  const test::Folder folder;
  killed([&] {
    Spool spool(folder.path.string(), kRun, "http://host");
    Record file;
    file.kind = RecordKind::file;
    file.run = kRun;
    for (const int64_t size : {30, 40, 50}) {
      file.step = size;
      spool.put(file);
    }
  });
  const auto spool = Spool::adopt(folder.path.string(), kRun);
  REQUIRE(spool);
  CHECK(spool->files() == 120);
  spool->skip(spool->next(2).back().position);
  CHECK(spool->files() == 90);
}
