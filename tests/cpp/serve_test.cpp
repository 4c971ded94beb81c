// host/serve: the door of a process, and who calls there.
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "host/base/error.h"
#include "host/serve/door.h"
#include "host/serve/watch.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

using namespace trainhost;
using serve::Caller;
using serve::Door;

namespace {
const auto kNever = [] { return false; };
}

TEST_CASE("serve: lines of one client are taken and answered without waiting, a second one is sent away") {
  const test::Folder folder;
  const std::string path = folder / "door";
  {
    Door door(path, "busy");
    struct stat st {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    CHECK_FALSE(door.take());
    CHECK_THROWS_AS(Door(path, "busy"), Error);
    {
      Caller first(path);
      CHECK_FALSE(door.take());
      first.send("one", kNever);
      first.send("two", kNever);
      CHECK(door.take() == "one");
      door.answer("1");
      CHECK(door.take() == "two");
      door.answer("2");
      CHECK(first.receive(kNever) == "1");
      CHECK(first.receive(kNever) == "2");
      CHECK_FALSE(first.receive([] { return true; }));
      Caller second(path);
      CHECK_FALSE(door.take());
      CHECK(second.receive(kNever) == "busy");
      CHECK_FALSE(second.receive(kNever));
    }
    CHECK_FALSE(door.take());
    Caller third(path);
    third.send("three", kNever);
    CHECK(door.take() == "three");
  }
  CHECK(folder.entries() == 0);
  CHECK_THROWS_AS(Caller(path), Error);
}

TEST_CASE("serve: a client that asks without an end or never reads is sent away") {
  const test::Folder folder;
  Door door(folder / "door", "busy");
  Caller deaf(folder / "door");
  deaf.send("x", kNever);
  CHECK(door.take() == "x");
  const std::string much(1 << 20, 'y');
  for (int i = 0; i < 8; ++i) door.answer(much);
  Caller other(folder / "door");
  other.send("z", kNever);
  CHECK(door.take() == "z");
}

TEST_CASE("serve: a question that nobody reads is given up when told to, and an error when the other side is gone") {
  const test::Folder folder;
  auto door = std::make_unique<Door>(folder / "door", "busy");
  Caller caller(folder / "door");
  const std::string much(64 << 20, 'y');
  int asked = 0;
  caller.send(much, [&] { return ++asked == 3; });
  CHECK(asked == 3);
  door.reset();
  CHECK_THROWS_AS(caller.send(much, kNever), Error);
}

TEST_CASE("serve: a watch stops what the client takes back, what takes too long, and what nobody waits for") {
  using serve::Watch;
  const test::Folder folder;
  Door door(folder / "door", "busy");
  const auto watched = [&](double seconds, const std::function<void()>& meanwhile) {
    std::atomic<bool> stopped{false};
    Watch watch(door, seconds, [&] { stopped = true; });
    meanwhile();
    for (int i = 0; i < 3000 && !stopped; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(stopped);
    return watch.reason();
  };
  const std::string take_back(1, Door::kTakeBack);
  {
    Caller caller(folder / "door");
    caller.send("work", kNever);
    CHECK(door.take() == "work");
    CHECK(watched(0, [&] { caller.send(take_back, kNever); }) == Watch::Reason::asked);
    caller.send("more", kNever);
    CHECK(door.take() == "more");  // what was taken back is no line
    CHECK(watched(0.05, [] {}) == Watch::Reason::time);
    caller.send(take_back, kNever);
    caller.send("late", kNever);
    CHECK(door.take() == "late");
    caller.send("two", kNever);
    caller.send(take_back, kNever);
    CHECK(door.take() == "two");
    CHECK(watched(0, [] {}) == Watch::Reason::asked);  // before it began
    caller.send("last", kNever);
    CHECK(door.take() == "last");
  }
  CHECK(watched(0, [] {}) == Watch::Reason::gone);
}
