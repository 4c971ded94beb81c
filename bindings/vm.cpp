// native.vm: the script's side of its host: errors, parameters, clocks, the terminal, the collector, the end.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "bindings/bindings.h"
#include "bindings/called.h"
#include "bindings/guard.h"
#include "host/base/error.h"
#include "host/vm/modules.h"
#include "host/vm/script.h"
#include "host/vm/state.h"
#include "host/vm/traceback.h"

namespace trainhost::bindings {

void set_math_random(lua_State* L);  // math_random.cpp: adds to the table on top of the stack

namespace {

using vm::State;

std::string check_text(lua_State* L, int arg, const char* function, const char* name) {
  if (lua_type(L, arg) != LUA_TSTRING) throw_argument(L, function, name, "a string", arg);
  size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

std::string optional_text(lua_State* L, int arg, const char* function, const char* name) {
  return lua_isnoneornil(L, arg) ? std::string() : check_text(L, arg, function, name);
}

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

int raise_error(lua_State* L) {
  vm::Fault fault{error_kind(check_text(L, 1, "raise", "kind")), check_text(L, 2, "raise", "message"),
                  optional_text(L, 3, "raise", "hint"), optional_text(L, 5, "raise", "type")};
  if (maybe_tail(L)) explain_tail(called(L), fault);
  vm::raise(L, fault, optional_text(L, 4, "raise", "op").c_str());
}

int describe_value(lua_State* L) {
  const std::string text = describe(L, 1);
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int keep_scope(lua_State* L) { return luaL_checkany(L, 1), vm::keep_scope(L, 1), 0; }
int drop_scope(lua_State* L) { return luaL_checkany(L, 1), vm::drop_scope(L, 1), 0; }

int find_nearest(lua_State* L) {
  const std::string wanted = check_text(L, 1, "nearest", "wanted");
  if (!lua_istable(L, 2)) throw_argument(L, "nearest", "names", "a list of strings", 2);
  std::vector<std::string> names;
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; ++i, lua_pop(L, 1)) names.push_back(lua_tostring(L, -1));
  const std::vector<std::string> best = vm::nearest(wanted, names, static_cast<size_t>(luaL_optinteger(L, 3, 3)));
  lua_createtable(L, static_cast<int>(best.size()), 0);
  for (size_t i = 0; i < best.size(); ++i) {
    lua_pushstring(L, best[i].c_str());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int at_exit(lua_State* L) {
  if (!lua_isfunction(L, 1)) throw_argument(L, "at_exit", "f", "a function", 1);
  lua_settop(L, 1);
  vm::at_exit(L);
  return 0;
}

int param(lua_State* L) {
  const std::string* value = vm::read_param(L, check_text(L, 1, "param", "name"));
  if (value) lua_pushlstring(L, value->data(), value->size());
  else lua_pushnil(L);
  return 1;
}

int params(lua_State* L) {
  lua_newtable(L);
  for (const auto& [name, value] : State::of(L).options().params) {
    lua_pushlstring(L, value.data(), value.size());
    lua_setfield(L, -2, name.c_str());
  }
  return 1;
}

int args(lua_State* L) {
  const auto& list = State::of(L).options().args;
  lua_createtable(L, static_cast<int>(list.size()), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    lua_pushlstring(L, list[i].data(), list[i].size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int script_name(lua_State* L) {
  lua_pushstring(L, State::of(L).options().script_name.c_str());
  return 1;
}

int versions(lua_State* L) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, TRAINHOST_VERSION);
  lua_setfield(L, -2, "trainhost");
  lua_pushstring(L, lua_version().c_str());
  lua_setfield(L, -2, "lua");
  lua_pushstring(L, torch_version().c_str());
  lua_setfield(L, -2, "torch");
  lua_pushstring(L, TRAINHOST_TORCH_VERSION);
  lua_setfield(L, -2, "torch_built_against");
  lua_pushboolean(L, torch_has_cuda());
  lua_setfield(L, -2, "cuda");
  return 1;
}

int collect_garbage(lua_State* L) {
  State::of(L).native_bytes().collect(L);
  return 0;
}

int native_bytes(lua_State* L) {
  const auto& bytes = State::of(L).native_bytes();
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, static_cast<lua_Integer>(bytes.charged()));
  lua_setfield(L, -2, "charged");
  lua_pushinteger(L, static_cast<lua_Integer>(bytes.budget()));
  lua_setfield(L, -2, "budget");
  lua_pushinteger(L, static_cast<lua_Integer>(bytes.collections()));
  lua_setfield(L, -2, "collections");
  lua_pushinteger(L, static_cast<lua_Integer>(bytes.full_collections()));
  lua_setfield(L, -2, "full_collections");
  return 1;
}

template <clockid_t clock>
int read_clock(lua_State* L) {
  lua_pushnumber(L, seconds(clock));
  return 1;
}

int sleep_for(lua_State* L) {
  if (!lua_isnumber(L, 1)) throw_argument(L, "sleep", "seconds", "a number", 1);
  const double until = seconds(CLOCK_MONOTONIC) + lua_tonumber(L, 1);
  auto& interrupts = State::of(L).interrupts();
  for (double left; (left = until - seconds(CLOCK_MONOTONIC)) > 0 && !interrupts.requested();) {
    const double slice = std::min(left, 0.01);
    const timespec t{0, static_cast<long>(slice * 1e9)};
    nanosleep(&t, nullptr);
  }
  return 0;
}

int stream_of(lua_State* L, int arg, const char* function) {
  const std::string name = lua_isnoneornil(L, arg) ? "stdout" : check_text(L, arg, function, "stream");
  if (name == "stdin") return STDIN_FILENO;
  if (name == "stdout") return STDOUT_FILENO;
  if (name == "stderr") return STDERR_FILENO;
  throw_argument(L, function, "stream", "\"stdin\", \"stdout\" or \"stderr\"", arg);
}

int is_tty(lua_State* L) {
  lua_pushboolean(L, isatty(stream_of(L, 1, "is_tty")));
  return 1;
}

int terminal_side(lua_State* L, const char* function, unsigned short winsize::*side) {
  winsize size{};
  if (ioctl(stream_of(L, 1, function), TIOCGWINSZ, &size) == 0 && size.*side > 0) lua_pushinteger(L, size.*side);
  else lua_pushnil(L);
  return 1;
}

int terminal_width(lua_State* L) { return terminal_side(L, "terminal_width", &winsize::ws_col); }

int terminal_height(lua_State* L) { return terminal_side(L, "terminal_height", &winsize::ws_row); }

int process_id(lua_State* L) {
  lua_pushinteger(L, getpid());
  return 1;
}

int environment(lua_State* L) {
  lua_pushstring(L, std::getenv(check_text(L, 1, "getenv", "name").c_str()));
  return 1;
}

int natives(lua_State* L) {
  const std::vector<std::string> names = vm::native_names(L);
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (size_t i = 0; i < names.size(); ++i) {
    lua_pushstring(L, names[i].c_str());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int exit_code(lua_State* L) {
  if (const auto& code = State::of(L).interrupts().exit_code()) lua_pushinteger(L, *code);
  else lua_pushnil(L);
  return 1;
}

int graceful(lua_State* L) {
  State::of(L).interrupts().graceful(lua_toboolean(L, 1));
  return 0;
}

int stop_wished(lua_State* L) {
  lua_pushboolean(L, State::of(L).interrupts().stop_wished());
  return 1;
}

int interrupt(lua_State* L) { State::of(L).interrupts().interrupt(L, check_text(L, 1, "interrupt", "message")); }

int current_line(lua_State* L) {
  lua_pushstring(L, vm::user_line(L).c_str());
  return 1;
}

constexpr Row kRows[] = {
    {"raise", guarded<raise_error>,
     "Raises an error value that points at the innermost line of the user's script.\n"
     "@param kind string usage, shape, dtype, device, memory, io, tracking, interrupted or internal\n"
     "@param message string where, what was wrong, expected, got\n@param hint string|nil what to do\n"
     "@param op string|nil the operator or function\n@param type string|nil the name of Python's class"},
    {"describe", guarded<describe_value>,
     "Names a value as error messages do.\n@param value any\n@return string `number 3`, `string \"x\"`, `table`"},
    {"nearest", guarded<find_nearest>,
     "Finds the names that a wrong one may have meant, best first.\n@param wanted string\n@param names string[]\n"
     "@param most integer|nil default 3\n@return string[]"},
    {"keep_scope", guarded<keep_scope>,
     "Notes a scope that the running coroutine has open: its metamethods __suspend and __resume are called where the\n"
     "coroutine yields and goes on. Nothing in the main coroutine.\n@param scope table"},
    {"drop_scope", guarded<drop_scope>, "Forgets a scope of the running coroutine.\n@param scope table"},
    {"at_exit", guarded<at_exit>,
     "Has a function called when the script ends, however it ends but by kill -9; the last one given is called first.\n"
     "@param f fun(status: string) status: finished, failed or killed"},
    {"param", guarded<param>,
     "Returns the text of --set NAME=VALUE and notes that it was read.\n@param name string\n@return string|nil"},
    {"params", guarded<params>, "Returns everything given with --set.\n@return table<string, string>"},
    {"args", guarded<args>, "Returns the arguments after `--`.\n@return string[]"},
    {"script", guarded<script_name>, "Returns the path of the script as it was given.\n@return string"},
    {"versions", guarded<versions>,
     "Returns the versions of trainhost, lua, torch (loaded) and torch_built_against, and whether there is CUDA.\n"
     "@return table"},
    {"collect", guarded<collect_garbage>, "Runs a full collection now."},
    {"native_bytes", guarded<native_bytes>,
     "Returns what drives the collector: the bytes of native memory made so far, the bytes after which it runs, and\n"
     "how often it ran, in full or not.\n"
     "@return {charged: integer, budget: integer, collections: integer, full_collections: integer}"},
    {"clock", guarded<read_clock<CLOCK_MONOTONIC>>, "Returns seconds that only move forward.\n@return number"},
    {"time", guarded<read_clock<CLOCK_REALTIME>>, "Returns seconds since 1970, with fractions.\n@return number"},
    {"cpu_clock", guarded<read_clock<CLOCK_PROCESS_CPUTIME_ID>>,
     "Returns the CPU seconds of the process, all threads.\n@return number"},
    {"sleep", guarded<sleep_for>, "Waits; an interruption ends the wait.\n@param seconds number"},
    {"is_tty", guarded<is_tty>,
     "Tells whether a stream is a terminal.\n@param stream string|nil stdin, stdout (default) or stderr\n"
     "@return boolean"},
    {"terminal_width", guarded<terminal_width>,
     "Returns the columns of the terminal, nil if the stream is none.\n@param stream string|nil default stdout\n"
     "@return integer|nil"},
    {"terminal_height", guarded<terminal_height>,
     "Returns the rows of the terminal, nil if the stream is none.\n@param stream string|nil default stdout\n"
     "@return integer|nil"},
    {"pid", guarded<process_id>, "Returns the process id.\n@return integer"},
    {"getenv", guarded<environment>, "Returns a variable of the environment.\n@param name string\n@return string|nil"},
    {"graceful", guarded<graceful>,
     "While it is on, the first Ctrl-C raises nothing: `stop_wished` becomes true, and the loop stops in good order.\n"
     "@param on boolean each true needs its false"},
    {"stop_wished", guarded<stop_wished>, "Tells whether the script was asked to stop in good order.\n@return boolean"},
    {"exit_code", guarded<exit_code>,
     "Returns what os.exit was given, while the script ends by it.\n@return integer|nil"},
    {"natives", guarded<natives>, "Returns the names of the native modules, this one among them.\n@return string[]"},
    {"interrupt", guarded<interrupt>,
     "Raises `interrupted` past every pcall: the end of a script that stopped in good order.\n@param message string"},
    {"user_line", guarded<current_line>,
     "Returns the innermost line of the user's script, as \"train.lua:12\".\n@return string"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_vm(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  set_math_random(L);
  return 1;
}

}  // namespace trainhost::bindings
