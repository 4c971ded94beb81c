// host/vm: calls, errors, interruption from threads, posted work, the end of a script.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <lua.hpp>
#include <memory>
#include <stdexcept>
#include <thread>

#include "host/vm/contained.h"
#include "host/vm/interrupt.h"
#include "host/vm/script.h"
#include "host/vm/state.h"
#include "tests/cpp/catch.h"

using namespace trainhost;
using namespace std::chrono_literals;

namespace {

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Runs `code` and interrupts it from another thread after a moment; the error, and how long it then took.
std::pair<Error, double> interrupted(vm::State& state, const char* code) {
  std::atomic<bool> done{false};
  std::chrono::steady_clock::time_point asked;
  std::thread watchdog([&] {
    while (state.interrupt() == 0 && !done) std::this_thread::sleep_for(1ms);
    asked = std::chrono::steady_clock::now();
  });
  Error error(ErrorKind::internal, "ended by itself");
  try {
    state.run_string(code, "=code");
  } catch (const Error& e) {
    error = e;
  }
  const auto ended = std::chrono::steady_clock::now();
  done = true;
  watchdog.join();
  return {error, std::chrono::duration<double>(ended - asked).count()};
}

}  // namespace

TEST_CASE("results stay on the stack, errors are thrown with their line") {
  vm::State state({});
  CHECK(state.run_string("return 1, 'x'", "=code") == 2);
  CHECK(lua_tointeger(state.lua(), -2) == 1);
  lua_settop(state.lua(), 0);
  try {
    state.run_string("local x\nx.y = 1", "=code");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.where() == "code:2");
    CHECK_THAT(e.what(), Holds("attempt to index a nil value (local 'x')"));
    CHECK(e.trace() == "code:2: in the main chunk");
  }
  CHECK(lua_gettop(state.lua()) == 0);
  CHECK_THROWS_AS(state.run_string("x =", "=code"), Error);
  CHECK_THROWS_AS(state.run_file("/nonexistent.lua"), Error);
  CHECK(lua_gettop(state.lua()) == 0);
}

TEST_CASE("bytecode is refused") {
  vm::State state({});
  state.run_string("return string.dump(function() end)", "=code");
  size_t size = 0;
  const char* text = lua_tolstring(state.lua(), -1, &size);
  CHECK_THROWS_AS(state.run_string({text, size}, "=code"), Error);
}

TEST_CASE("another thread interrupts any script") {
  vm::State state({});
  for (const char* code :
       {"while true do end", "while true do pcall(function() while true do end end) end",
        "while true do coroutine.wrap(function() for i = 1, 100 do end end)() end",
        "local f f = function(n) if n > 0 then f(n - 1) end end while true do pcall(f, 100) end",
        "while true do pcall(coroutine.wrap(function() pcall(coroutine.yield) error('x') end)) end"}) {
    CAPTURE(code);
    const auto [error, seconds] = interrupted(state, code);
    CHECK(error.kind() == ErrorKind::interrupted);
    CHECK(seconds < 20);
  }
  state.run_string("x = 0 for i = 1, 1e6 do x = x + 1 end assert(pcall(error) == false)", "=after");
}

TEST_CASE("interruptions that hit coroutines as they come and go are safe (slow)") {
  // Calls, coroutines and collections while another thread walks the calls: see Note [Requests from another thread].
  vm::State state({});
  const char* code =
      "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end "
      "while true do local t = {} for i = 1, 50 do t[i] = coroutine.wrap(function() deep(i) coroutine.yield() "
      "deep(150) end) t[i]() t[i]() end "
      "collectgarbage('step', 1000) end";
  for (int i = 0; i < 200; ++i) REQUIRE(interrupted(state, code).first.kind() == ErrorKind::interrupted);
}

TEST_CASE("a contained call is cancelled from another thread, or ends by os.exit, and the script goes on") {
  vm::State state({});
  auto& interrupts = state.interrupts();
  static std::atomic<bool> begun;  // the call is where it may be cancelled
  lua_register(state.lua(), "begin", [](lua_State*) {
    begun = true;
    return 0;
  });
  lua_pushcfunction(state.lua(), [](lua_State* L) {
    auto& own = vm::State::of(L).interrupts();
    vm::Interrupts::Bound bound(own);
    std::atomic<bool> done{false};
    std::thread canceller;
    if (lua_toboolean(L, lua_upvalueindex(1)))
      canceller = std::thread([&] {
        for (; !done; std::this_thread::sleep_for(1ms))
          if (begun) own.cancel();
      });
    const int count = vm::contained_call(L, 1, bound);
    done = true;
    if (canceller.joinable()) canceller.join();
    return count;
  });
  lua_setglobal(state.lua(), "quiet");
  lua_getglobal(state.lua(), "quiet");
  const lua_CFunction call = lua_tocfunction(state.lua(), -1);
  lua_pushboolean(state.lua(), 1);
  lua_pushcclosure(state.lua(), call, 1);
  lua_setglobal(state.lua(), "cancelled");
  lua_settop(state.lua(), 0);
  interrupts.cancel();  // nothing to cancel
  for (const char* endless :
       {"begin() while true do end", "begin() while true do pcall(function() while true do end end) end",
        "begin() coroutine.wrap(function() while true do pcall(error) end end)()",
        "local _ <close> = setmetatable({}, {__close = function() closed = true end}) begin() repeat until false"}) {
    CAPTURE(endless);
    begun = false;
    const std::string code = std::string("assert(cancelled(function() ") + endless +
                             " end) == 'cancelled') for i = 1, 1000 do assert(not pcall(error)) end";
    CHECK_NOTHROW(state.run_string(code, "=code"));
  }
  CHECK_NOTHROW(state.run_string("assert(closed)", "=code"));
  CHECK_NOTHROW(state.run_string(
      "local how, code = quiet(function() pcall(os.exit, 7) end) assert(how == 'exited' and code == 7)\n"
      "local how, a, b = quiet(function(...) return ... end, 1, 2) assert(how == 'returned' and a == 1 and b == 2)\n"
      "local how, err = quiet(error, 'mine') assert(how == 'failed' and err == 'mine')\n"
      "assert(select('#', quiet(function() end)) == 1)",
      "=code"));
  CHECK_FALSE(state.exit_code());
  const auto [error, seconds] = interrupted(state, "quiet(function() while true do end end) while true do end");
  CHECK(error.kind() == ErrorKind::interrupted);
}

TEST_CASE("an interruption without a running script is forgotten") {
  vm::State state({});
  CHECK(state.interrupt() == 0);
  state.run_string("for i = 1, 1000 do end", "=code");
}

TEST_CASE("a request between two calls from C++ into one script stops the script") {
  vm::State state({});
  lua_pushcfunction(state.lua(), [](lua_State* L) {
    vm::State::of(L).interrupt();
    return 0;
  });
  lua_setglobal(state.lua(), "stop_me");
  try {
    state.run_string("pcall(stop_me)\npcall(print)\nreached = true", "=code");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::interrupted);
    CHECK_THAT(e.where(), Holds("code:"));
  }
  lua_getglobal(state.lua(), "reached");
  CHECK(lua_isnil(state.lua(), -1));
}

TEST_CASE("posted work runs on the state's thread, in a running script and between scripts") {
  vm::State state({});
  lua_State* L = state.lua();
  const auto own = std::this_thread::get_id();
  std::atomic<int> ran{0};
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    for (int i = 0; i < 3; ++i)
      state.interrupts().post([&] {
        if (std::this_thread::get_id() == own) ++ran;
        lua_pushboolean(L, 1);
        lua_setglobal(L, "posted");
      });
  });
  state.run_string("while not posted do end", "=code");
  other.join();
  state.run_string("return 1", "=code");
  CHECK(ran == 3);
  state.interrupts().post([&] { ++ran; });
  CHECK(state.interrupts().run_posted() == 1);
  CHECK(ran == 4);
}

TEST_CASE("posted work that throws is an error where it runs, and leaves the state and the other work whole") {
  int ran = 0;
  {
    vm::State state({});
    lua_State* L = state.lua();
    state.interrupts().post([] { throw_usage("from a post"); });
    state.interrupts().post([&] { ++ran; });
    CHECK_THROWS_WITH(state.run_string("return 1", "=code"), "from a post");
    CHECK(lua_gettop(L) == 0);
    CHECK(state.interrupt() == 0);  // no script runs
    CHECK(state.run_string("return 1", "=code") == 1);
    CHECK(ran == 1);
    state.interrupts().post([] { throw std::runtime_error("standard"); });
    state.interrupts().post([&] { ++ran; });
    CHECK_THROWS_AS(state.interrupts().run_posted(), Error);
    CHECK(state.interrupts().run_posted() == 1);
    CHECK(ran == 2);
    lua_pushcfunction(L, [](lua_State* L) {
      for (const char* text : {"first", "second"}) vm::State::of(L).interrupts().post([text] { throw_usage(text); });
      return 0;
    });
    lua_setglobal(L, "post_two");
    lua_settop(L, 0);
    const char* code = "local ok, e = pcall(function() post_two() for _ = 1, 10 do end end) seen = e.message";
    CHECK_THROWS_WITH(state.run_string(code, "=code"), Holds("second"));  // it comes when the first is caught
    lua_pushcfunction(L, [](lua_State*) { return 0; });
    vm::at_exit(L);
    state.interrupts().post([] { throw_usage("before the end"); });
    CHECK(vm::run_at_exit(state, "finished") == std::vector<std::string>{"before the end"});
    state.interrupts().post([] { throw_usage("never run"); });
  }  // closing with work that would throw
}

TEST_CASE("a request that was counted is never forgotten") {
  constexpr int kRounds = 300;
  vm::State state({});
  std::atomic<int> stage{0};  // 2 i + 1: script i is about to run, 2 i + 2: it has ended
  int forgotten = 0;
  std::thread other([&] {
    for (int i = 0; i < kRounds; ++i) {
      while (stage < 2 * i + 1) std::this_thread::yield();
      int counted = 0;
      while (counted == 0) counted = state.interrupt();
      const auto asked = std::chrono::steady_clock::now();
      while (stage < 2 * i + 2) {
        std::this_thread::yield();
        if (seconds_since(asked) < 2) continue;
        ++forgotten;
        while (stage < 2 * i + 2) std::this_thread::sleep_for(1ms), state.interrupt();
      }
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    stage = 2 * i + 1;
    CHECK_THROWS_AS(state.run_string("while true do end", "=code"), Error);
    stage = 2 * i + 2;
  }
  other.join();
  CHECK(forgotten == 0);
}

TEST_CASE("requests and posts from another thread while the state closes are safe") {
  for (int i = 0; i < 20; ++i) {
    auto state = std::make_unique<vm::State>(vm::Options{});
    state->run_string("for i = 1, 100 do t = setmetatable({t}, {__gc = function() for _ = 1, 100 do end end}) end",
                      "=code");
    std::atomic<bool> done{false}, began{false};
    std::thread other([&] {
      while (!done) {
        state->interrupt();
        state->interrupts().post([] {});
        began = true;
      }
    });
    while (!began) std::this_thread::yield();
    state->close();
    done = true;
    other.join();
  }
}

TEST_CASE("a Lua error outside a protected call is thrown, not the end of the process") {
  vm::State state({});
  lua_State* L = state.lua();
  state.run_string("setmetatable(_G, {__index = function(_, name) error('no ' .. name, 0) end})", "=code");
  for (int i = 0; i < 20; ++i) {
    try {
      lua_getglobal(L, "nothing");
      FAIL("no error");
    } catch (const Error& e) {
      REQUIRE(std::string(e.what()) == "no nothing");
    }
  }
  CHECK(state.run_string("return 1", "=code") == 1);
}

TEST_CASE("the folder of a script is searched first, and its name kept once") {
  char name[] = "/tmp/trainhost-XXXXXX";
  const std::string folder = mkdtemp(name);
  const auto write = [&](const char* file, const char* text) { std::ofstream(folder + "/" + file) << text; };
  write("main.lua", "path = package.path");
  write("bad.lua", "package.path = nil");
  write("worse.lua", "package = setmetatable({}, {__index = error, __newindex = error})");
  vm::State state({});
  lua_State* L = state.lua();
  const auto path = [&] {
    lua_settop(L, 0);
    lua_getglobal(L, "path");
    return std::string(lua_tostring(L, -1));
  };
  state.run_file(folder + "/main.lua");
  const std::string first = path();
  CHECK(first.rfind(folder + "/?.lua;" + folder + "/?/init.lua;", 0) == 0);
  for (int i = 0; i < 3; ++i) state.run_file(folder + "/main.lua");
  CHECK(path() == first);
  state.run_string("package.path = './?.lua;' .. package.path", "=code");
  state.run_file(folder + "/main.lua");
  CHECK(path() == folder + "/?.lua;" + folder + "/?/init.lua;./?.lua;" + first.substr(2 * folder.size() + 19));
  state.run_file(folder + "/bad.lua");
  state.run_file(folder + "/main.lua");
  CHECK(path() == folder + "/?.lua;" + folder + "/?/init.lua");
  state.run_file(folder + "/worse.lua");
  try {
    state.run_file(folder + "/main.lua");
  } catch (const Error&) {
  }
  CHECK(state.run_string("return 1", "=code") == 1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("os.exit ends the script and not the process") {
  vm::State state({});
  CHECK(state.run_string("pcall(function() os.exit(3) end) error('not reached')", "=code") == 0);
  CHECK(state.exit_code() == 3);
  state.run_string("return", "=code");
  CHECK_FALSE(state.exit_code().has_value());
}

TEST_CASE("functions for the end run in reverse order, each once, past a failing one") {
  vm::State state({});
  lua_State* L = state.lua();
  state.run_string("log = ''", "=code");
  for (const char* code : {"return function(s) log = log .. 'a' .. s end", "return function() error('bad') end",
                           "return function() log = log .. 'c' end"}) {
    state.run_string(code, "=code");
    vm::at_exit(L);
  }
  const auto failures = vm::run_at_exit(state, "killed");
  REQUIRE(failures.size() == 1);
  CHECK(failures[0] == "code:1: bad");
  lua_getglobal(L, "log");
  CHECK(std::string(lua_tostring(L, -1)) == "cakilled");
  CHECK(vm::run_at_exit(state, "killed").empty());
}

TEST_CASE("parameters that nobody read are known, with the names that were") {
  vm::Options options;
  options.params = {{"lr", "1"}, {"batchsize", "2"}, {"zzz", "3"}};
  vm::State state(options);
  CHECK(*vm::read_param(state.lua(), "lr") == "1");
  CHECK(vm::read_param(state.lua(), "batch_size") == nullptr);
  const auto unread = vm::unread_params(state);
  REQUIRE(unread.size() == 2);
  CHECK(unread[0].name == "batchsize");
  CHECK(unread[0].nearest == std::vector<std::string>{"batch_size"});
  CHECK(unread[1].nearest.empty());
}

TEST_CASE("names that are near come best first") {
  const std::vector<std::string> names = {"relu", "prelu", "selu", "matmul", "file"};
  CHECK(vm::nearest("rleu", names, 2).front() == "relu");
  CHECK(vm::nearest("flie", names, 3) == std::vector<std::string>{"file"});
  CHECK(vm::nearest("zzzzzz", names, 3).empty());
}

TEST_CASE("two states share nothing") {
  vm::State a({}), b({});
  a.run_string("x = 1 string.upper = nil", "=code");
  b.run_string("assert(x == nil and string.upper('a') == 'A')", "=code");
  CHECK(&vm::State::of(a.lua()) == &a);
}
