// What Lua writes beside a status line, from several states and threads.
#include "host/vm/streams.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <lua.hpp>
#include <memory>
#include <string>
#include <thread>

#include "host/base/file.h"
#include "host/base/status_line.h"
#include "host/trainhost.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

using namespace trainhost;
using test::Folder;

namespace {

// What `f` writes to stdout.
template <class F>
std::string output_of(F f) {
  const Folder folder;
  std::fflush(stdout);
  const int before = dup(STDOUT_FILENO);
  std::FILE* file = std::fopen((folder / "out").c_str(), "w");
  dup2(fileno(file), STDOUT_FILENO);
  f();
  std::fflush(stdout);
  dup2(before, STDOUT_FILENO);
  close(before);
  std::fclose(file);
  return file::read(folder / "out");
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct Close {
  void operator()(lua_State* L) const { lua_close(L); }
};

}  // namespace

TEST_CASE("an empty text changes nothing beside a status line") {
  const std::unique_ptr<lua_State, Close> state(luaL_newstate());
  luaL_openlibs(state.get());
  vm::open_streams(state.get());
  const auto run = [&](const char* text) { REQUIRE(luaL_dostring(state.get(), text) == LUA_OK); };
  CHECK(output_of([&] {
          status_line::write("bar 1");
          run("io.write('') io.write() io.stdout:write('', '') io.stderr:write('')");
          status_line::write("\rbar 2\n");
        }) == "bar 1\rbar 2\n");
  CHECK(output_of([&] {
          run("io.write('line\\n', '')");
          status_line::write("bar\n");
          run("io.write('begun', '') io.write('')");
          status_line::write("bar\n");
        }) == "line\nbar\nbegun\nbar\n");
}

TEST_CASE("print and io.write are Lua's own below, however often a state is opened") {
  const std::unique_ptr<lua_State, Close> state(luaL_newstate());
  luaL_openlibs(state.get());
  for (int i = 0; i < 3; ++i) vm::open_streams(state.get());
  const std::unique_ptr<lua_State, Close> other(luaL_newstate());
  luaL_openlibs(other.get());
  vm::open_streams(other.get());
  REQUIRE(luaL_dostring(other.get(), "print = function() end") == LUA_OK);
  vm::open_streams(other.get());  // a script's own print stays
  for (const auto& each : {state.get(), other.get()})
    CHECK(output_of([&] {
            CHECK(luaL_dostring(each, "print('a', 1) io.write('b', 2, '\\n') io.stdout:write('c\\n')") == LUA_OK);
          }) == (each == state.get() ? "a\t1\nb2\nc\n" : "b2\nc\n"));
}

TEST_CASE("two Hosts print beside each other's status lines, and each line is whole") {
  constexpr int kLines = 200;
  const std::string text = output_of([&] {
    const auto work = [&](const char* name) {
      Host host;
      host.set("name", name);
      host.set("lines", kLines);
      host.run_string("for i = 1, lines do print('<' .. name .. i .. '>') io.write('[' .. name .. i .. ']\\n') end");
    };
    std::thread first(work, "a"), second(work, "b");
    for (int i = 0; i < kLines; ++i) status_line::write("bar");
    first.join();
    second.join();
    status_line::finish();
  });
  CHECK(count(text, "<a") == kLines);
  CHECK(count(text, "]\n") == 2 * kLines);
  CHECK(count(text, "<b200>") == 1);
}
