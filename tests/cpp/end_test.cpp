// The bound of everything at the end of a process, and what is under way when it comes.
#include "host/track/end.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "host/base/http.h"
#include "host/track/sender.h"
#include "tests/cpp/catch.h"

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
