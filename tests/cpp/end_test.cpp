// The bound of everything at the end of a process, and what is under way when it comes.
#include "host/track/end.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/http.h"
#include "host/track/sender.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

// Takes connections and never answers.
struct Silence {
  Silence() : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 8) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~Silence() { ::close(fd); }
  const int fd;
  std::string url;
};

// Waits for something that never comes, until it is hurried.
class Patient : public Sink {
 public:
  size_t write(std::span<const Record>, const Report&) override {
    writing = true;
    while (Clock::now() < bound("", 0)) std::this_thread::sleep_for(1ms);
    throw Error(ErrorKind::tracking, "no answer");
  }
  void flush() override {}
  void set_bound(Bound given) override { bound = std::move(given); }
  void hurry() noexcept override { hurried = true; }
  bool is_bounded() const noexcept override { return true; }
  std::atomic<bool> writing{false}, hurried{false};
  Bound bound;
};

}  // namespace

TEST_CASE("what ends while an end lasts shares its bound") {
  End end;
  CHECK(end.at_most(60s) == 60s);
  const auto by = end.by();
  CHECK(by <= Clock::now() + 10s);
  CHECK(end.by() == by);
  CHECK(end.at_most(60s) <= 10s);
  CHECK(end.at_most(0ms) == 0ms);
}

TEST_CASE("an end lasts longer while bytes of files move that have not moved before") {
  constexpr uint64_t kStep = 64 << 10;
  End end;
  end.moved("f", 10 * kStep);
  CHECK(end.granted() == 0s);  // none has begun
  auto by = end.by();
  const auto is_put_off = [&](const std::string& file, uint64_t bytes) {
    std::this_thread::sleep_for(1ms);
    const auto before = end.granted();
    end.moved(file, bytes);
    const auto more = end.by() - std::exchange(by, end.by());
    CHECK(more == end.granted() - before);
    return more > 0s;
  };
  CHECK(is_put_off("f", kStep));
  CHECK_FALSE(is_put_off("f", kStep + 1));
  CHECK(is_put_off("f", 2 * kStep));
  CHECK_FALSE(is_put_off("f", kStep));  // it begins anew
  CHECK_FALSE(is_put_off("f", 2 * kStep));
  CHECK(is_put_off("g", kStep));
  CHECK(is_put_off("f", 3 * kStep));
  end.hasten();
  CHECK(end.by() <= Clock::now() + 2s);
  by = end.by();
  CHECK_FALSE(is_put_off("f", 9 * kStep));
}

TEST_CASE("what a sink moves at the end puts its bound off, and that of all other waits at the end") {
  class Copying : public Sink {
   public:
    size_t write(std::span<const Record> records, const Report&) override {
      writing = true;
      while (!hurried) std::this_thread::sleep_for(1ms);
      const auto before = bound("", 0);
      std::this_thread::sleep_for(1ms);
      put_off = bound("file", 64 << 10) > before && bound("", 0) > before;
      return records.size();
    }
    void flush() override {}
    void set_bound(Bound given) override { bound = std::move(given); }
    void hurry() noexcept override { hurried = true; }
    std::atomic<bool> writing{false}, hurried{false}, put_off{false};
    Bound bound;
  };
  const auto end = std::make_shared<End>();
  const auto sink = std::make_shared<Copying>();
  Queue queue(
      {}, [](const Event&) {}, std::make_shared<Sender>(0ms, end));
  Record record;
  record.run = "r";
  queue.push(queue.add(sink), record);
  while (!sink->writing) std::this_thread::sleep_for(1ms);
  const auto by = end->by();
  CHECK(queue.close(10s) == 0);
  CHECK(sink->put_off);
  CHECK(end->by() > by);
}

TEST_CASE("a copy of a file that is lost with the process is removed, and the report names it") {
  const test::Folder folder;
  std::filesystem::create_directories(folder / "run/.incoming");
  const std::string staged = folder.put("run/.incoming/copy", "bytes");
  std::vector<Event> events;
  const auto sink = std::make_shared<Patient>();
  {
    Queue queue({}, [&](const Event& event) { events.push_back(event); });
    const auto lane = queue.add(sink);
    Record record;
    record.run = "r";
    queue.push(lane, record);
    while (!sink->writing) std::this_thread::sleep_for(1ms);
    record.kind = RecordKind::file;
    record.key = "models/big.bin";
    record.value = staged;
    record.extra = "/home/me/big.bin";
    queue.push(lane, record);
    CHECK(queue.close(400ms) == 2);
  }
  REQUIRE(events.size() == 1);
  CHECK_THAT(events[0].message, Holds("'models/big.bin' ('/home/me/big.bin') of run r could not be stored"));
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_CASE("the bound of a request is told how much of a PUT has gone, and of nothing else") {
  Silence server;
  http::Client client;
  std::string told;
  uint64_t gone = 0;
  client.set_bound([&](const std::string& what, uint64_t bytes) {
    told = what;
    gone = std::max(gone, bytes);
    return gone ? Clock::now() : Clock::now() + 1h;
  });
  http::Request request;
  request.url = server.url + "/file";
  request.method = "PUT";
  request.body = std::string(64 << 20, 'x');
  CHECK_THROWS_AS(client.send(request), http::RequestError);
  CHECK(told == request.url);
  CHECK(gone > 0);
  CHECK(gone < request.body.size());  // the rest has no place in the buffers of the system
  gone = 0;
  request.method = "POST";
  request.timeout = 50ms;
  CHECK_THROWS_AS(client.send(request), http::RequestError);
  CHECK(gone == 0);
}

TEST_CASE("a request under way is over when the client is hurried") {
  Silence server;
  http::Client client;
  std::atomic<Clock::time_point> by{Clock::time_point::max()};
  client.set_bound([&](const std::string&, uint64_t) { return by.load(); });
  http::Request request;
  request.url = server.url;
  std::thread hurry([&] {
    std::this_thread::sleep_for(20ms);
    by = Clock::now() + 20ms;
    client.hurry();
  });
  for (int i = 0; i < 2; ++i) {  // the next one too
    try {
      client.send(request);
      FAIL("answered");
    } catch (const http::RequestError& e) {
      CHECK(e.failure() == http::Failure::timeout);
      CHECK(e.message().find("no answer in time") != std::string::npos);
    }
  }
  hurry.join();
}

TEST_CASE("what a sink has not stored when its bound comes is left, without a report that it is tried again") {
  std::atomic<int> reports{0};
  const auto sink = std::make_shared<Patient>();
  Queue queue({}, [&](const Event&) { ++reports; });
  Record record;
  record.run = "r";
  queue.push(queue.add(sink), record);
  while (!sink->writing) std::this_thread::sleep_for(1ms);
  CHECK_FALSE(queue.is_stuck(0ms));  // it ends when it is told
  CHECK(queue.close(400ms) == 1);
  CHECK(sink->hurried);
  CHECK(reports == 0);
}
