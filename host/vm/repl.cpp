// The console: stdlib/host/repl.lua shows the values and completes the names.
#include "host/vm/repl.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <lua.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/vm/errors.h"
#include "host/vm/repl_input.h"
#include "host/vm/state.h"

namespace trainhost::vm {
namespace {

enum class Compiled { yes, incomplete, wrong };

// Pushes the chunk (as an expression if it is one), or the error message.
Compiled compile(lua_State* L, const std::string& chunk) {
  const std::string expression = "return " + chunk;
  if (luaL_loadbufferx(L, expression.data(), expression.size(), "=stdin", "t") == LUA_OK) return Compiled::yes;
  lua_pop(L, 1);
  const int status = luaL_loadbufferx(L, chunk.data(), chunk.size(), "=stdin", "t");
  if (status == LUA_OK) return Compiled::yes;
  size_t size = 0;
  const char* message = lua_tolstring(L, -1, &size);
  constexpr std::string_view kEnd = "<eof>";
  const bool incomplete =
      status == LUA_ERRSYNTAX && size >= kEnd.size() && std::string_view(message, size).ends_with(kEnd);
  return incomplete ? Compiled::incomplete : Compiled::wrong;
}

void print_error(const Error& error) {
  std::fflush(stdout);
  std::string text = error.what();
  for (const char* p = error.trace().c_str(); *p;) {
    const std::string_view rest(p);
    const size_t size = std::min(rest.find('\n'), rest.size());
    // The line of the console itself says nothing that the message does not.
    if (rest.substr(0, size).find("stdin:") != 0) text += "\n    " + std::string(rest.substr(0, size));
    p += size + (size < rest.size());
  }
  std::fprintf(stderr, "%s\n", text.c_str());
}

// Runs the chunk on top of the stack and prints its results; false if it failed.
bool run(State& state) {
  lua_State* L = state.lua();
  const int top = lua_gettop(L) - 1;
  bool fine = true;
  try {
    const int count = state.call(0, LUA_MULTRET);
    if (count > 0) {
      lua_pushvalue(L, top + 1);
      lua_setglobal(L, "_");
      push_function_of(state, "host.repl", "show");
      lua_insert(L, top + 1);
      state.call(count, 1);
      size_t size = 0;
      if (const char* text = lua_tolstring(L, -1, &size)) std::fwrite(text, 1, size, stdout);
      std::fputc('\n', stdout);
    }
  } catch (const Error& error) {
    print_error(error);
    fine = false;
  }
  std::fflush(stdout);
  lua_settop(L, top);
  return fine;
}

}  // namespace

int run_repl(State& state) {
  lua_State* L = state.lua();
  push_function_of(state, "host.repl", "open");
  state.call(0, 0);
  const bool terminal = isatty(STDIN_FILENO);
  const std::unique_ptr<Input> input = open_input(state, terminal);
  bool fine = true;
  std::string chunk;
  for (;;) {
    const std::optional<std::string> line = input->line(!chunk.empty());
    if (!line || input->cancelled()) {
      if (!line && chunk.empty()) break;
      if (!line && !terminal) {
        compile(L, chunk);
        print_error(pop_error(L));
        return 1;
      }
      chunk.clear();
      continue;
    }
    if (chunk.empty() && line->find_first_not_of(" \t\r") == std::string::npos) continue;
    chunk += (chunk.empty() ? "" : "\n") + *line;
    const Compiled compiled = compile(L, chunk);
    if (compiled == Compiled::incomplete) {
      lua_pop(L, 1);
      continue;
    }
    input->remember(chunk);
    if (compiled == Compiled::yes) {
      fine = run(state) && fine;
    } else {
      print_error(pop_error(L));
      fine = false;
    }
    chunk.clear();
    if (const auto code = state.exit_code()) return *code;
  }
  return fine || terminal ? 0 : 1;
}

}  // namespace trainhost::vm
