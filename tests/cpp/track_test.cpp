// Tracking: the queue, the embedded store, artifacts, keys, and what a process keeps when it ends.
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "host/track/artifact.h"
#include "host/track/local_store.h"
#include "host/track/reader.h"
#include "host/track/remote_runs.h"
#include "host/track/schema.h"
#include "host/track/sender.h"
#include "host/track/server.h"
#include "host/track/sqlite_sink.h"
#include "host/track/text.h"
#include "host/track/tracker.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/synced.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// While it lives the system refuses every new thread: none has room for so large a stack.
class NoThreads {
 public:
  NoThreads() { set(size_t{1} << 47); }
  ~NoThreads() { set(size_t{8} << 20); }

 private:
  static void set(size_t stack) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
};

bool takes_signals() {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return !sigismember(&mask, SIGINT) && !sigismember(&mask, SIGTERM);
}

// A fresh working folder, left and removed at the end.
class Folder {
 public:
  Folder() : before_(fs::current_path()) {
    char name[] = "/tmp/trainhost_track_XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("mkdtemp");
    path_ = name;
    fs::current_path(path_);
  }
  ~Folder() {
    fs::current_path(before_);
    fs::remove_all(path_);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path before_, path_;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(fs::absolute(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

int64_t count(const std::string& sql) {
  Database database("mlflow.db", 30s);
  Statement query(database, sql.c_str());
  query.step();
  return query.integer(0);
}

// Remembers records; fails, stores slowly or hangs when told to.
class TestSink : public Sink {
 public:
  size_t write(std::span<const Record> records, const Report&) override {
    std::this_thread::sleep_for(delay.load());
    while (hang) std::this_thread::sleep_for(1ms);
    if (failures > 0) {
      --failures;
      if (wish) again = std::chrono::steady_clock::now() + *wish;
      throw Error(ErrorKind::tracking, "the store is locked");
    }
    std::lock_guard lock(mutex);
    const size_t n = std::min(records.size(), at_once);
    for (size_t i = 0; i < n; ++i) steps.push_back(records[i].step);
    ++writes;
    return n;
  }
  void flush() override {
    if (flush_failures > 0) {
      --flush_failures;
      throw Error(ErrorKind::tracking, "no flush");
    }
    ++flushes;
  }
  std::string name() const override { return "a test"; }
  std::optional<std::chrono::steady_clock::time_point> not_before() const override { return again; }

  std::atomic<int> failures{0}, flush_failures{0}, flushes{0}, writes{0};
  std::atomic<std::chrono::milliseconds> delay{0ms};
  std::atomic<bool> hang{false};
  size_t at_once = 1000;
  std::optional<std::chrono::milliseconds> wish;  // of a pause after a failure
  std::optional<std::chrono::steady_clock::time_point> again;
  std::mutex mutex;
  std::vector<int64_t> steps;
};

class Reports {
 public:
  Report report() {
    return [this](Event event) {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
    };
  }
  std::vector<Event> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
};

Record metric(int64_t step) {
  Record record;
  record.run = "r";
  record.key = "loss";
  record.step = step;
  return record;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return std::string(name_of(e.kind())) + ": " + e.message();
  }
  return "no error";
}

struct Logged {
  Folder folder;
  Tracker tracker;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  std::shared_ptr<Store> store = tracker.open("");
  std::shared_ptr<Run> run = tracker.start_run(*store, {}, inbox);

  StoredRun stored() {
    REQUIRE(tracker.flush(20s));
    return stored_now();
  }
  StoredRun stored_now() { return store->find_run(run->id()).value(); }
};

nlohmann::json history(Logged& logged, const char* key) {
  return logged.store->call("metrics/get-history", {{"run_id", logged.run->id()}, {"metric_key", key}})["metrics"];
}

}  // namespace

TEST_CASE("queue keeps the order of what many threads push, each in its own order") {
  auto sink = std::make_shared<TestSink>();
  Reports reports;
  Queue queue({}, reports.report());
  const auto lane = queue.add(sink);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) queue.push(lane, metric(t * 10000 + i));
    });
  for (auto& thread : threads) thread.join();
  REQUIRE(queue.flush(20s));
  CHECK(queue.waiting() == 0);
  std::lock_guard lock(sink->mutex);
  REQUIRE(sink->steps.size() == 8000);
  std::array<int64_t, 4> next{};
  for (const int64_t step : sink->steps) CHECK(step % 10000 == next[static_cast<size_t>(step / 10000)]++);
  CHECK(sink->writes < 400);  // in batches
  CHECK(reports.events().empty());
}

TEST_CASE("queue tries again until the sink stores, reports the outage once and its end once") {
  auto sink = std::make_shared<TestSink>();
  sink->failures = 3;
  sink->at_once = 2;  // a sink may take less than it is given
  Reports reports;
  QueueOptions options;
  options.first_pause = 1ms;
  Queue queue(options, reports.report());
  const auto lane = queue.add(sink);
  for (int i = 0; i < 5; ++i) queue.push(lane, metric(i));
  REQUIRE(queue.flush(20s));
  CHECK(sink->steps == std::vector<int64_t>{0, 1, 2, 3, 4});
  const auto events = reports.events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].message.find("the store is locked; 5 records wait") != std::string::npos);
  CHECK(events[1].message.find("nothing was lost") != std::string::npos);
}

TEST_CASE("a sink that says when it may be asked again is asked then, without a pause of the queue on top") {
  auto sink = std::make_shared<TestSink>();
  sink->failures = 3;
  sink->wish = 1ms;
  Reports reports;
  QueueOptions options;
  options.first_pause = options.most_pause = std::chrono::minutes(10);
  Queue queue(options, reports.report());
  queue.push(queue.add(sink), metric(0));
  REQUIRE(queue.flush(20s));
  CHECK(sink->steps == std::vector<int64_t>{0});
}

TEST_CASE("queue without a thread keeps what is logged, says so once, and stores it when there is one or at the end") {
  const auto sink = std::make_shared<TestSink>();
  Reports reports;
  {
    Queue queue({}, reports.report());
    const auto lane = queue.add(sink);
    {
      const NoThreads refused;
      queue.push(lane, metric(0));
      queue.push(lane, metric(1));
      CHECK_FALSE(queue.flush(20s));
      CHECK(takes_signals());
    }
    CHECK(queue.waiting() == 2);
    REQUIRE(reports.events().size() == 1);
    CHECK(reports.events()[0].message.find("refuses the thread") != std::string::npos);
    CHECK(queue.flush(20s));
    CHECK(sink->steps == std::vector<int64_t>{0, 1});
  }
  const NoThreads refused;
  Queue queue({}, reports.report());
  queue.push(queue.add(sink), metric(2));
  CHECK(queue.close(20s) == 0);
  CHECK(sink->steps == std::vector<int64_t>{0, 1, 2});
}

TEST_CASE("queue that fails in one lane stores the other lane") {
  auto broken = std::make_shared<TestSink>(), whole = std::make_shared<TestSink>();
  broken->failures = 1000;
  Reports reports;
  Queue queue({}, reports.report());
  const auto first = queue.add(broken), second = queue.add(whole);
  queue.push(first, metric(1));
  queue.push(second, metric(2));
  for (int i = 0; i < 500 && whole->writes == 0; ++i) std::this_thread::sleep_for(10ms);
  CHECK(whole->writes == 1);
  CHECK_FALSE(queue.flush(50ms));
  CHECK(queue.close(100ms) == 1);
}

TEST_CASE("queue that is full drops metrics after a while, keeps params, and says so") {
  auto sink = std::make_shared<TestSink>();
  sink->hang = true;
  Reports reports;
  QueueOptions options;
  options.capacity = 20 * metric(0).bytes();
  options.patience = 30ms;
  options.linger = 1ms;
  Queue queue(options, reports.report());
  const auto lane = queue.add(sink);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) queue.push(lane, metric(i));
  CHECK(std::chrono::steady_clock::now() - began < 20s);  // waits once, not 980 times 30 ms
  Record param = metric(5000);
  param.kind = RecordKind::param;
  queue.push(lane, std::move(param));
  REQUIRE(reports.events().size() == 1);
  CHECK(reports.events()[0].message.find("is full") != std::string::npos);
  sink->hang = false;
  REQUIRE(queue.flush(20s));
  std::lock_guard lock(sink->mutex);
  CHECK(sink->steps.size() == 21);
  CHECK(sink->steps.back() == 5000);
  const auto events = reports.events();
  REQUIRE(events.size() == 2);
  CHECK(events[1].message.find("980 metrics") != std::string::npos);
}

TEST_CASE("queue waits for room when the sink is slow, and loses nothing") {
  auto sink = std::make_shared<TestSink>();
  sink->delay = 2ms;
  Reports reports;
  QueueOptions options;
  options.capacity = 20 * metric(0).bytes();
  Queue queue(options, reports.report());
  const auto lane = queue.add(sink);
  for (int i = 0; i < 500; ++i) queue.push(lane, metric(i));
  REQUIRE(queue.flush(20s));
  CHECK(sink->steps.size() == 500);
  CHECK(reports.events().empty());
}

TEST_CASE("queue that is closed stores what waits, and does not wait for a sink that hangs") {
  auto sink = std::make_shared<TestSink>();
  Reports reports;
  {
    Queue queue({}, reports.report());
    const auto lane = queue.add(sink);
    for (int i = 0; i < 3000; ++i) queue.push(lane, metric(i));
  }
  CHECK(sink->steps.size() == 3000);

  auto stuck = std::make_shared<TestSink>();
  stuck->failures = 1 << 30;
  Queue queue({}, reports.report());
  const auto lane = queue.add(stuck);
  queue.push(lane, metric(1));
  const auto began = std::chrono::steady_clock::now();
  CHECK(queue.close(200ms) == 1);
  CHECK(std::chrono::steady_clock::now() - began < 30s);
}

TEST_CASE("queues that share a sender have one thread, which is gone with the last of them") {
  const auto senders = [] {
    size_t count = 0;
    for (const auto& task : fs::directory_iterator("/proc/self/task"))
      count += read(task.path() / "comm") == "trainhost-track\n";
    return count;
  };
  for (int i = 0; i < 2000 && senders() > 0; ++i) std::this_thread::sleep_for(5ms);  // of tests before this one
  REQUIRE(senders() == 0);
  Reports reports;
  const auto sender = Sender::shared();
  CHECK(Sender::shared() == sender);
  const auto first = std::make_shared<TestSink>(), second = std::make_shared<TestSink>();
  {
    Queue one({}, reports.report(), sender);
    {
      Queue other({}, reports.report(), sender);
      for (int i = 0; i < 3; ++i) {
        one.push(i ? 0 : one.add(first), metric(i));
        other.push(i ? 1 : other.add(second), metric(i));
      }
      CHECK(one.waiting() == 3);
      REQUIRE(other.flush(20s));
      CHECK(senders() == 1);
    }
    CHECK(second->steps.size() == 3);
    one.push(0, metric(3));
    REQUIRE(one.flush(20s));
    CHECK(first->steps.size() == 4);
  }
  CHECK(senders() == 0);
  Queue next({}, reports.report(), sender);  // its thread has ended: it gets another one
  next.push(next.add(first), metric(4));
  CHECK(next.close(20s) == 0);
  CHECK(first->steps.size() == 5);
}

TEST_CASE("a sink that does not come back holds up the end of all queues once") {
  Reports reports;
  const auto stuck = std::make_shared<TestSink>(), whole = std::make_shared<TestSink>();
  stuck->hang = true;
  {
    const auto sender = std::make_shared<Sender>(1ms);
    Queue one({}, reports.report(), sender), other({}, reports.report(), sender), third({}, reports.report(), sender);
    one.push(one.add(stuck), metric(0));
    while (!one.is_stuck(1ms)) std::this_thread::sleep_for(1ms);
    other.push(other.add(whole), metric(1));
    const auto began = std::chrono::steady_clock::now();
    const auto limit = one.left_of_end();
    CHECK(limit <= 10s);
    CHECK(limit > 5s);
    CHECK(one.close(60s) == 1);
    CHECK(other.close(60s) == 1);
    CHECK(third.close(60s) == 0);
    const auto took = std::chrono::steady_clock::now() - began;
    CHECK(took > 5s);
    CHECK(took < 20s);  // not 10 s for each
    CHECK(other.waiting_for() == "'a test'");
  }
  stuck->hang = false;
}

TEST_CASE("a thread that was logged to a moment ago needs no waking") {
  Reports reports;
  const auto sender = std::make_shared<Sender>(1ms);
  Queue queue({}, reports.report(), sender);
  const auto sink = std::make_shared<TestSink>();
  const auto lane = queue.add(sink);
  for (int i = 0; i < 20; ++i) {
    queue.push(lane, metric(i));
    std::this_thread::sleep_for(5ms);
    std::lock_guard lock(sender->mutex);
    CHECK_FALSE(sender->idle);
  }
  for (int i = 0; i < 2000 && sink->writes == 0; ++i) std::this_thread::sleep_for(1ms);
  CHECK(sink->writes > 0);  // without a flush
}

TEST_CASE("a flush finds lanes that were let go, flushed before that") {
  Reports reports;
  Queue queue({}, reports.report());
  const auto gone = std::make_shared<TestSink>(), kept = std::make_shared<TestSink>();
  const auto lane = queue.add(gone);
  queue.push(lane, metric(0));
  queue.release(lane);
  queue.push(queue.add(kept), metric(1));
  REQUIRE(queue.flush(20s));
  CHECK(gone->flushes == 1);
  CHECK(kept->flushes == 1);
  for (int i = 0; i < 2000 && gone.use_count() > 1; ++i) std::this_thread::sleep_for(1ms);
  CHECK(gone.use_count() == 1);
  CHECK(queue.flush(20s));
  CHECK(gone->flushes == 1);
}

TEST_CASE("a sink that is let go is destroyed by the thread of the sender") {
  class Closing : public TestSink {
   public:
    explicit Closing(std::atomic<std::thread::id>& by) : by_(by) {}
    ~Closing() override { by_ = std::this_thread::get_id(); }

   private:
    std::atomic<std::thread::id>& by_;
  };
  Reports reports;
  std::atomic<std::thread::id> by{};
  Queue queue({}, reports.report());
  queue.release(queue.add(std::make_shared<Closing>(by)));
  for (int i = 0; i < 5000 && by.load() == std::thread::id(); ++i) std::this_thread::sleep_for(1ms);
  CHECK(by.load() != std::thread::id());
  CHECK(by.load() != std::this_thread::get_id());
}

TEST_CASE("a flush that fails is an outage as well, reported once, with its end") {
  auto sink = std::make_shared<TestSink>();
  sink->flush_failures = 2;
  Reports reports;
  QueueOptions options;
  options.first_pause = 1ms;
  Queue queue(options, reports.report());
  const auto lane = queue.add(sink);
  for (int outage = 1; outage < 3; ++outage, sink->flush_failures = 2) {
    queue.push(lane, metric(0));
    REQUIRE(queue.flush(20s));
    const auto events = reports.events();
    REQUIRE(events.size() == size_t(2 * outage));
    CHECK(events[size_t(2 * outage - 2)].message.find("no flush") != std::string::npos);
    CHECK(events.back().message.find("nothing was lost") != std::string::npos);
  }
}

TEST_CASE("a new database has MLflow 3.0's tables, the Default experiment and WAL") {
  Logged logged;
  logged.stored();
  CHECK(count("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'trainhost_%'") == 23);
  CHECK(count("SELECT count(*) FROM alembic_version WHERE version_num = '6953534de441'") == 1);
  CHECK(logged.store->find_experiment(0)->name == "Default");
  CHECK(logged.store->find_experiment(0)->artifact_location == (logged.folder.path() / "mlruns/0").string());
  CHECK(fs::exists("mlflow.db-wal"));
}

TEST_CASE("a run has its rows: the run, the tags, the end") {
  Logged logged;
  logged.run->end("FAILED");
  const StoredRun stored = logged.stored();
  const RunInfo info = logged.run->info();
  CHECK(info.id.size() == 32);
  CHECK(stored.info.status == "FAILED");
  CHECK(stored.info.start_time == info.start_time);
  CHECK(stored.info.end_time == info.end_time);
  CHECK(stored.info.end_time >= stored.info.start_time);
  CHECK(stored.info.artifact_uri == (logged.folder.path() / "mlruns/0" / info.id / "artifacts").string());
  CHECK(stored.tags.at("mlflow.runName") == stored.info.name);
  CHECK(stored.tags.at("mlflow.user") == stored.info.user);
  CHECK(stored.tags.at("mlflow.source.type") == "LOCAL");
  CHECK(std::count(stored.info.name.begin(), stored.info.name.end(), '-') == 2);
}

TEST_CASE("metrics keep every point, the latest one by step, and NaN and infinities as MLflow does") {
  Logged logged;
  for (const int64_t step : {0, 2, 1}) logged.run->log_metric("loss", 1.0 / (1 + step), step);
  logged.run->log_metric("bad", std::nan(""), 0);
  logged.run->log_metric("big", INFINITY, 0);
  logged.run->log_metric("small", -INFINITY, 0);
  logged.run->log_metric("same", 1.0, 0, 1234);
  logged.run->log_metric("same", 1.0, 0, 1234);  // a resend
  const StoredRun stored = logged.stored();
  REQUIRE(stored.metrics.size() == 5);
  CHECK(std::isnan(stored.metrics[0].value));
  CHECK(stored.metrics[1].value == std::numeric_limits<double>::max());
  CHECK(stored.metrics[2].step == 2);
  CHECK(stored.metrics[2].value == 1.0 / 3);
  CHECK(stored.metrics[4].value == -std::numeric_limits<double>::max());
  CHECK(history(logged, "loss").size() == 3);
  CHECK(history(logged, "same").size() == 1);
  CHECK(count("SELECT count(*) FROM metrics WHERE key = 'bad' AND is_nan = 1 AND value = 0") == 1);
}

TEST_CASE("a reader lists runs and points, writes nothing and makes no store") {
  Logged logged;
  for (const int64_t step : {2, 0, 1}) logged.run->log_metric("loss", 10.0 + static_cast<double>(step), step, 1234);
  logged.run->log_metric("loss", 20.0, 0, 1235);
  logged.run->log_metric("big", -INFINITY, 0);
  logged.stored();
  const auto reader = open_to_read("mlflow.db");
  const auto runs = reader->call("runs/search", {{"experiment_ids", {"0"}}})["runs"];
  REQUIRE(runs.size() == 1);
  CHECK(runs[0]["info"]["run_id"] == logged.run->id());
  CHECK(runs[0]["data"]["metrics"].size() == 2);
  const auto found = points(*reader, logged.run->id(), "loss");
  REQUIRE(found.size() == 4);
  CHECK(found[0].value == 10.0);
  CHECK(found[2].step == 2);
  CHECK(found[3].value == 20.0);  // by time
  CHECK(points(*reader, logged.run->id(), "loss", 3).size() == 1);
  CHECK(points(*reader, logged.run->id(), "loss", 4).empty());
  CHECK(points(*reader, logged.run->id(), "big")[0].value == -INFINITY);
  CHECK(points(*reader, "none", "loss").empty());
  for (const char* call : {"runs/set-tag", "runs/delete", "runs/update"})
    CHECK_THROWS_AS(reader->call(call, {{"run_id", logged.run->id()}, {"key", "a"}, {"value", "b"}}), Error);
  CHECK(logged.stored().tags.contains("a") == false);

  Database database("mlflow.db", 1s, Access::read);
  CHECK_THROWS_AS(database.run("DELETE FROM metrics"), DatabaseError);
  CHECK_THROWS_AS(open_to_read("none.db"), DatabaseError);
  CHECK(!fs::exists("none.db"));
}

TEST_CASE("a reader of a store that was left behind changes no file of it") {
  Folder folder;
  {
    Tracker tracker;
    const auto store = tracker.open("");
    tracker.start_run(*store, {}, {})->log_metric("loss", 1, 0);
    REQUIRE(tracker.flush(20s));
    fs::create_directory("left");
    for (const char* name : {"mlflow.db", "mlflow.db-wal"}) fs::copy(name, fs::path("left") / name);
  }
  const std::string before = read("left/mlflow.db"), log = read("left/mlflow.db-wal");
  REQUIRE(!log.empty());
  CHECK(open_to_read("left/mlflow.db")->call("runs/search", {{"experiment_ids", {"0"}}})["runs"].size() == 1);
  CHECK(read("left/mlflow.db") == before);
  CHECK(read("left/mlflow.db-wal") == log);
}

TEST_CASE("a param that is logged again keeps its first value, and another value is an event") {
  Logged logged;
  logged.run->log_param("lr", "0.1");
  logged.run->log_param("lr", "0.1");
  logged.stored();
  CHECK_FALSE(logged.inbox->any());
  logged.run->log_param("lr", "0.2");
  logged.run->log_param("after", "kept");
  const StoredRun stored = logged.stored();
  CHECK(stored.params.at("lr") == "0.1");
  CHECK(stored.params.at("after") == "kept");
  const auto events = logged.inbox->take();
  REQUIRE(events.size() == 1);
  CHECK(events[0].run == logged.run->id());
  CHECK(events[0].message.find("'lr' was already logged with value='0.1'") != std::string::npos);
}

TEST_CASE("tags are replaced and deleted; the run's name follows its tag") {
  Logged logged;
  logged.run->set_tag("stage", "a");
  logged.run->set_tag("stage", "b");
  logged.run->set_tag("gone", "x");
  logged.run->delete_tag("gone");
  logged.run->set_tag("mlflow.runName", "renamed");
  const StoredRun stored = logged.stored();
  CHECK(stored.tags.at("stage") == "b");
  CHECK(stored.tags.count("gone") == 0);
  CHECK(stored.info.name == "renamed");
  CHECK(logged.run->info().name == "renamed");
}

TEST_CASE("values are cut at MLflow's lengths by characters, and bytes that are no UTF-8 are replaced") {
  Logged logged;
  std::string wide;
  for (int i = 0; i < 6001; ++i) wide += "\xC3\xA9";
  logged.run->log_param("wide", wide);
  logged.run->log_param("exact", std::string(6000, 'x'));
  logged.run->set_tag("long", std::string(9000, 'x'));
  logged.run->set_tag("bytes", std::string_view("a\xff\0b", 4));
  const StoredRun stored = logged.stored();
  CHECK(stored.params.at("wide").size() == 12000);
  CHECK(stored.params.at("exact").size() == 6000);
  CHECK(stored.tags.at("long").size() == 8000);
  CHECK(stored.tags.at("bytes") ==
        "a\xEF\xBF\xBD\xEF\xBF\xBD"
        "b");
  CHECK(logged.inbox->take().size() == 2);
}

TEST_CASE("keys follow MLflow's rules") {
  for (const char* good : {"loss", "val/loss", "a b.c-d_e:f", "\xC3\xA9t\xC3\xA9", "a..b", "1"})
    CHECK_NOTHROW(check_key("metric", good));
  for (const char* bad :
       {"", ".", "..", "/a", "a/", "a//b", "./a", "a/../b", "../a", "..a", "a*b", "a\nb", "a\xff", "a(b)"})
    CHECK(message_of([&] { check_key("metric", bad); }).find("usage: mlflow: invalid metric name") == 0);
  CHECK_NOTHROW(check_key("tag", std::string(250, 'k')));
  CHECK(message_of([] { check_key("tag", std::string(251, 'k')); }).find("251 characters") != std::string::npos);
  CHECK_NOTHROW(check_artifact_path("plots/loss (1).svg"));
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../../x", "a/"})
    CHECK_THROWS_AS(check_artifact_path(bad), Error);
}

TEST_CASE("floats are written as Python writes them") {
  const std::vector<std::pair<double, const char*>> table = {{0.1 + 0.2, "0.30000000000000004"},
                                                             {1.0, "1.0"},
                                                             {-0.0, "-0.0"},
                                                             {1e-5, "1e-05"},
                                                             {1e-4, "0.0001"},
                                                             {1e16, "1e+16"},
                                                             {1e15, "1000000000000000.0"},
                                                             {123456789012345680.0, "1.2345678901234568e+17"},
                                                             {5e-324, "5e-324"},
                                                             {std::nan(""), "nan"},
                                                             {-INFINITY, "-inf"},
                                                             {0.001, "0.001"},
                                                             {1e22, "1e+22"}};
  for (const auto& [value, text] : table) CHECK(python_float(value) == text);
}

TEST_CASE("logging to a run that has ended, or with a bad argument, is a usage error at the call") {
  Logged logged;
  CHECK(message_of([&] { logged.run->log_metric("a*b", 1, 0); }).find("usage: mlflow: invalid metric name 'a*b'") == 0);
  CHECK(message_of([&] { logged.run->end("DONE"); }).find("usage: mlflow.end_run: bad status 'DONE'") == 0);
  logged.run->end("FINISHED");
  logged.run->end("FAILED");  // the first end stands
  CHECK(message_of([&] { logged.run->log_metric("a", 1, 0); }).find("has ended (FINISHED)") != std::string::npos);
  CHECK(message_of([&] { logged.run->log_text("a", "a.txt"); }).find("usage") == 0);
  CHECK(logged.stored().info.status == "FINISHED");
}

TEST_CASE("artifacts: texts, small and large files, folders") {
  Logged logged;
  const fs::path at = logged.run->info().artifact_uri;
  const std::string large(3 << 20, 'L');
  write("small.txt", "small");
  write("large.bin", large);
  write("tree/a.txt", "a");
  write("tree/b/c.txt", "c");
  logged.run->log_text("text", "notes/hello.txt");
  logged.run->log_artifact("small.txt", "");
  logged.run->log_artifact("large.bin", "files");
  logged.run->log_artifacts("tree", "");
  logged.run->log_artifact("tree/", "folders");
  // Gone or rewritten right after the call.
  write("small.txt", "other");
  fs::remove("large.bin");
  fs::remove_all("tree");
  logged.run->end("FINISHED");
  logged.stored();
  CHECK(read(at / "notes/hello.txt") == "text");
  CHECK(read(at / "small.txt") == "small");
  CHECK(read(at / "files/large.bin") == large);
  CHECK(read(at / "a.txt") == "a");
  CHECK(read(at / "folders/tree/b/c.txt") == "c");
  CHECK_FALSE(fs::exists(at.parent_path() / ".incoming"));
  CHECK_FALSE(logged.inbox->any());
}

TEST_CASE("a published artifact does not change with its source, and a rewriting in between is told") {
  Folder folder;
  const std::string artifacts = (folder.path() / "run/artifacts").string();
  const std::string large(2 << 20, 'A');
  write("model.bin", large);
  auto staged = stage_file("model.bin", artifacts);
  CHECK(publish_file(staged, artifacts, "m/model.bin"));
  CHECK(publish_file(staged, artifacts, "m/model.bin"));  // sent twice
  std::ofstream("model.bin", std::ios::binary | std::ios::in) << "changed";
  CHECK(read("run/artifacts/m/model.bin") == large);

  write("model.bin", large);
  staged = stage_file("model.bin", artifacts);
  if (fs::hard_link_count("model.bin") > 1) {  // no reflinks on this file system
    std::this_thread::sleep_for(20ms);
    std::ofstream("model.bin", std::ios::binary | std::ios::in) << "changed";
    CHECK_FALSE(publish_file(staged, artifacts, "m/model.bin"));
    CHECK(read("run/artifacts/m/model.bin").substr(0, 8) == "changedA");
  }
}

TEST_CASE("a missing artifact is an io error, an artifact folder that cannot be written an event") {
  Logged logged;
  CHECK(message_of([&] { logged.run->log_artifact("nothing.txt", ""); }).find("io: ") == 0);
  CHECK(message_of([&] { logged.run->log_artifacts("nowhere", ""); }).find("io: ") == 0);
  CHECK(message_of([&] { logged.run->log_text("x", "../x"); }).find("usage: mlflow: invalid artifact path") == 0);
  write("mlruns", "a file where the folder should be");
  write("a.txt", "a");
  logged.run->log_artifact("a.txt", "");
  logged.run->log_text("text", "a.txt");
  logged.run->log_metric("after", 1, 0);
  CHECK(logged.stored().metrics.size() == 1);
  CHECK(logged.inbox->take().size() == 2);
}

TEST_CASE("local artifact folders are told from remote ones") {
  CHECK(local_folder("/a/b") == "/a/b");
  CHECK(local_folder("mlruns/1") == "mlruns/1");
  CHECK(local_folder("file:///a/b%20c") == "/a/b c");
  CHECK(local_folder("file:/a") == "/a");
  CHECK_FALSE(local_folder("s3://bucket/a"));
  CHECK_FALSE(local_folder("mlflow-artifacts:/1"));
}

TEST_CASE("addresses: sqlite is opened, everything else says why not, without its password") {
  Folder folder;
  Tracker tracker;
  CHECK(Tracker::resolve("") == "sqlite:///" + (folder.path() / "mlflow.db").string());
  CHECK(Tracker::resolve("sqlite:///a/../b.db") == "sqlite:///" + (folder.path() / "b.db").string());
  CHECK(Tracker::resolve("sqlite:////tmp/x.db?timeout=3") == "sqlite:////tmp/x.db");
  const auto refused = [&](const char* uri) { return message_of([&] { tracker.open(uri); }); };
  CHECK(refused("file:///tmp/mlruns")
            .find("tracking: mlflow: the tracking URI 'file:///tmp/mlruns' names a file store") == 0);
  CHECK(refused("./mlruns").find("file store") != std::string::npos);
  CHECK(refused("postgresql://me:secret@host/x").find("sqlite:///, http:// and https:// are") != std::string::npos);
  CHECK(refused("postgresql://me:secret@host/x").find("secret") == std::string::npos);
  CHECK(Tracker::resolve("https://host/x//") == "https://host/x");
  CHECK(refused("sqlite:///:memory:").find("names no file") != std::string::npos);
  CHECK(refused("sqlite:///no/such/mlflow.db").find("there is no folder") != std::string::npos);
  CHECK(tracker.open("") == tracker.open("sqlite:///mlflow.db"));
}

TEST_CASE("a database that is not MLflow's is refused with the reason") {
  Folder folder;
  {
    Database other("other.db", 1s);
    other.run("CREATE TABLE things (a)");
  }
  Tracker tracker;
  CHECK(message_of([&] { tracker.open("sqlite:///other.db"); }).find("holds the table 'things'") != std::string::npos);
  write("text.db", std::string(5000, 'x'));
  CHECK(message_of([&] { tracker.open("sqlite:///text.db"); }).find("not a database") != std::string::npos);
}

TEST_CASE("columns are checked: a missing one, an extra one with and without default") {
  Folder folder;
  const auto make = [](const char* path, const char* change) {
    Database database(path, 1s);
    Transaction transaction(database);
    database.run(kSchemaSql);
    database.run("INSERT INTO alembic_version VALUES ('abc')");
    database.run(change);
    transaction.commit();
  };
  make("missing.db", "ALTER TABLE runs RENAME COLUMN deleted_time TO removed");
  make("newer.db", "ALTER TABLE experiments ADD COLUMN workspace VARCHAR(63) NOT NULL DEFAULT 'default'");
  make("strict.db", "DROP TABLE params; CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT, kind TEXT NOT NULL)");
  Tracker tracker;
  CHECK(message_of([&] { tracker.open("sqlite:///missing.db"); }).find("has no column runs.deleted_time") !=
        std::string::npos);
  CHECK(message_of([&] { tracker.open("sqlite:///strict.db"); }).find("column params.kind must have a value") !=
        std::string::npos);
  const auto store = tracker.open("sqlite:///newer.db");
  CHECK(store->experiment("x").id == 1);
}

TEST_CASE("experiments are made once, whoever asks first") {
  Logged logged;
  LocalStore other("mlflow.db", "mlruns");
  const Experiment made = logged.store->experiment("search");
  CHECK(made.id == 1);
  CHECK(other.experiment("search").id == 1);
  CHECK(other.find_experiment(int64_t{1})->artifact_location == (logged.folder.path() / "mlruns/1").string());
  CHECK_FALSE(other.find_experiment("nothing"));
  StartOptions options;
  options.experiment_id = 7;
  CHECK(message_of([&] { logged.tracker.start_run(*logged.store, options, logged.inbox); }).find("id '7'") !=
        std::string::npos);
}

TEST_CASE("a run is resumed by its id, and records of a run that is not there are set aside with one event") {
  Logged logged;
  logged.run->log_metric("loss", 1, 0);
  logged.run->end("FINISHED");
  auto again = logged.tracker.resume_run(*logged.store, logged.run->id(), logged.inbox);
  again->log_metric("loss", 2, 1);
  StoredRun stored = logged.stored();
  CHECK(stored.info.status == "RUNNING");
  CHECK(stored.info.end_time == 0);
  CHECK(stored.metrics[0].value == 2);
  CHECK(message_of([&] {
          logged.tracker.resume_run(*logged.store, std::string(32, '0'), logged.inbox);
        }).find("no run with id") != std::string::npos);
  {
    Database database("mlflow.db", 30s);
    database.run("DELETE FROM metrics; DELETE FROM latest_metrics; DELETE FROM tags; DELETE FROM runs");
  }
  for (int i = 0; i < 10; ++i) again->log_metric("loss", 2, i);
  REQUIRE(logged.tracker.flush(20s));
  CHECK(logged.inbox->take().size() == 1);
}

TEST_CASE("what is flushed while another connection reads is synced all the same") {
  Logged logged;
  logged.stored();
  Database reader("mlflow.db", 30s);
  reader.run("BEGIN");
  {
    Statement rows(reader, "SELECT count(*) FROM runs");
    rows.step();
    rows.reset();
  }
  test::forget_synced();
  logged.run->log_metric("loss", 1, 0);
  REQUIRE(logged.tracker.flush(20s));
  CHECK(test::times_synced("mlflow.db-wal") > 0);
  reader.run("COMMIT");
}

TEST_CASE("a report of a transaction that is rolled back comes with the one that is stored (slow)") {
  Folder folder;
  Record tag;
  tag.kind = RecordKind::tag;
  {
    Tracker tracker;
    const auto store = tracker.open("");
    tag.run = tracker.start_run(*store, {}, {})->id();
    REQUIRE(tracker.flush(20s));
  }
  // With the rollback journal, which a reader keeps from becoming WAL, a reader holds up the commit.
  Database reader("mlflow.db", 30s);
  reader.run("PRAGMA journal_mode = DELETE; BEGIN; SELECT count(*) FROM runs");
  SqliteSink sink(fs::absolute("mlflow.db").string());
  sink.hurry();
  Reports reports;
  const std::vector<Record> records{metric(0), tag};  // the metric's run is not there
  CHECK_THROWS_AS(sink.write(records, reports.report()), Error);
  CHECK(reports.events().empty());
  reader.run("COMMIT");
  CHECK(sink.write(records, reports.report()) == 2);
  CHECK(reports.events().size() == 1);
  CHECK(sink.write(records, reports.report()) == 2);
  CHECK(reports.events().size() == 1);
}

TEST_CASE("a locked store does not block logging; all is stored when the lock goes") {
  Logged logged;
  logged.stored();
  Database locker("mlflow.db", 30s);
  locker.run("BEGIN IMMEDIATE");
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) logged.run->log_metric("loss", i, i);
  logged.run->log_text("x", "x.txt");
  CHECK(std::chrono::steady_clock::now() - began < 25s);  // the lock holds a writer up for 30 s
  std::this_thread::sleep_for(100ms);
  locker.run("COMMIT");
  CHECK(logged.stored().metrics[0].value == 999);
  CHECK(count("SELECT count(*) FROM metrics") == 1000);
}

TEST_CASE("a store whose files are removed holds up neither the script nor another store") {
  Logged logged;
  logged.stored();
  fs::create_directory("other");
  const auto other = logged.tracker.open("sqlite:///other/mlflow.db");
  const auto lost = logged.tracker.start_run(*other, {}, logged.inbox);
  REQUIRE(logged.tracker.flush(20s));
  fs::remove_all("other");
  lost->log_metric("loss", 1, 0);
  logged.run->log_metric("loss", 1, 0);
  CHECK(logged.tracker.flush(20s, logged.store.get()));
  CHECK(logged.stored_now().metrics.size() == 1);
  logged.tracker.close(200ms);
}

TEST_CASE("the end of a tracker with a locked store is bounded and says what was left") {
  Logged logged;
  logged.stored();
  Database locker("mlflow.db", 30s);
  locker.run("BEGIN IMMEDIATE");
  logged.run->log_metric("loss", 1, 0);
  const auto began = std::chrono::steady_clock::now();
  CHECK(logged.tracker.close(300ms) == 1);
  CHECK(std::chrono::steady_clock::now() - began < 25s);
}

TEST_CASE("git tags come from the repository of the script, without its credentials") {
  Folder folder;
  const std::string sha(40, 'a'), other(40, 'b');
  const auto find = [](const Tags& tags, const std::string& key) {
    for (const auto& [name, value] : tags)
      if (name == key) return value;
    return std::string("none");
  };
  CHECK(find(source_tags("train.lua"), "mlflow.source.git.commit") == "none");
  CHECK(find(source_tags("train.lua"), "mlflow.source.name") == "train.lua");
  write("repo/.git/HEAD", "ref: refs/heads/topic/x\n");
  write("repo/.git/config", "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://me:token@host.org/r.git\n");
  write("repo/.git/packed-refs", "# pack-refs\n" + other + " refs/heads/main\n" + sha + " refs/heads/topic/x\n");
  write("repo/sub/train.lua", "");
  Tags tags = source_tags("repo/sub/train.lua");
  CHECK(find(tags, "mlflow.source.git.commit") == sha);
  CHECK(find(tags, "mlflow.source.git.branch") == "topic/x");
  CHECK(find(tags, "mlflow.source.git.repoURL") == "https://host.org/r.git");
  write("repo/.git/refs/heads/topic/x", other + "\n");
  CHECK(find(source_tags("repo/sub/train.lua"), "mlflow.source.git.commit") == other);
  write("repo/.git/worktrees/w/HEAD", sha + "\n");
  write("repo/.git/worktrees/w/commondir", "../..\n");
  write("w/.git", "gitdir: " + (folder.path() / "repo/.git/worktrees/w").string() + "\n");
  tags = source_tags("w/train.lua");
  CHECK(find(tags, "mlflow.source.git.commit") == sha);
  CHECK(find(tags, "mlflow.source.git.branch") == "none");
  CHECK(find(tags, "mlflow.source.git.repoURL") == "https://host.org/r.git");
}

TEST_CASE("two threads log to one run while a third reads events") {
  Logged logged;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      logged.inbox->take();
      logged.run->info();
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t)
    writers.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        logged.run->log_metric("loss" + std::to_string(t), i, i);
        if (i % 100 == 0) logged.run->log_param("p", std::to_string(t));
      }
    });
  for (auto& writer : writers) writer.join();
  stop = true;
  reader.join();
  CHECK(logged.stored().metrics.size() == 2);
  CHECK(count("SELECT count(*) FROM metrics") == 1000);
}

TEST_CASE("log_metric returns in microseconds") {
  Logged logged;
  constexpr int kCalls = 20000;
  std::vector<double> times;
  times.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    const auto began = std::chrono::steady_clock::now();
    logged.run->log_metric("loss", i, i);
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count());
  }
  std::sort(times.begin(), times.end());
  INFO("p50 " << times[kCalls / 2] << " us, p99 " << times[kCalls * 99 / 100] << " us, worst " << times.back()
              << " us");
  CHECK(times[kCalls / 2] < 1000);
  if (std::getenv("TRAINHOST_TIMES"))
    WARN("log_metric: p50 " << times[kCalls / 2] << " us, p99 " << times[kCalls * 99 / 100] << " us, worst "
                            << times.back());
  CHECK(logged.stored().metrics[0].step == kCalls - 1);
}

TEST_CASE("pauses before a server is asked again: doubled, bounded, with jitter, or as it wishes") {
  ServerOptions options;
  options.url = "http://localhost:1";
  options.backoff_factor = 2.0;
  options.backoff_jitter = 1.0;
  const Server server(options);
  const ServerError busy("busy", "", 503, "", true), wish("busy", "", 429, "", true, 7.0);
  for (const auto& [attempt, seconds] : {std::pair{1, 2}, {2, 4}, {3, 8}, {10, 30}, {1000, 30}}) {
    const auto pause = server.pause(attempt, busy);
    CHECK(pause >= std::chrono::seconds(seconds));
    CHECK(pause <= std::chrono::seconds(seconds + 1));
  }
  CHECK(server.pause(1, wish) >= 7s);
  CHECK(server.pause(1, wish) <= 8s);
}

TEST_CASE("ids of a server's runs: its own, those of here, those that it refuses") {
  RemoteRuns runs;
  CHECK(runs.id_of("a") == "a");
  CHECK_FALSE(runs.wait("a", 1ms));
  std::thread later([&] { runs.add("a", {"b", "mlflow-artifacts:/1", 1}); });
  CHECK(runs.wait("a", 60s));
  later.join();
  CHECK(runs.id_of("a") == "b");
  runs.refuse("c");
  CHECK_FALSE(runs.wait("c", 60s));
  CHECK(runs.id_of("c") == "c");
  CHECK_FALSE(runs.is_suspected("d"));
  runs.suspect("d");
  CHECK(runs.is_suspected("d"));
  runs.acquit("d");
  CHECK_FALSE(runs.is_suspected("d"));
}
