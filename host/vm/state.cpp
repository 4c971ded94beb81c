// State: a Lua state with the standard library, protected calls and their errors.
#include "host/vm/state.h"

#include <fstream>
#include <lua.hpp>
#include <utility>

#include "host/vm/errors.h"
#include "host/vm/modules.h"
#include "host/vm/streams.h"

namespace trainhost::vm {
namespace {

void set_arg(lua_State* L, const Options& options) {
  lua_createtable(L, static_cast<int>(options.args.size()), 1);
  lua_pushstring(L, options.script_name.c_str());
  lua_rawseti(L, -2, 0);
  for (size_t i = 0; i < options.args.size(); ++i) {
    lua_pushstring(L, options.args[i].c_str());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_setglobal(L, "arg");
}

// Lua ends the process after an error outside a protected call, unless this leaves by throwing: Lua is compiled as C++.
int panic(lua_State* L) { throw pop_error(L); }

int open_libraries(lua_State* L) {
  luaL_openlibs(L);
  open_streams(L);
  open_errors(L);
  open_modules(L);
  set_arg(L, State::of(L).options());
  State::of(L).interrupts().open(State::of(L).lua());
  return 0;
}

// Pops what compiling left; a message without a position gets the chunk's name: a binary chunk, say.
Error load_error(lua_State* L, const std::string& name) {
  Error error = pop_error(L);
  if (!error.where().empty() || error.kind() != ErrorKind::usage) return error;
  const std::string_view message = error.message();
  if (message.find(name) != std::string_view::npos) return error;
  return Error(error.kind(), name + ": " + std::string(message), error.hint(), error.type());
}

// Pushes the script's arguments: `...` of a main chunk.
int push_args(lua_State* L, const std::vector<std::string>& args) {
  if (!lua_checkstack(L, static_cast<int>(args.size()))) throw Error(ErrorKind::usage, "too many script arguments");
  for (const std::string& arg : args) lua_pushlstring(L, arg.data(), arg.size());
  return static_cast<int>(args.size());
}

}  // namespace

State::State(Options options) : options_(std::move(options)) {
  lua_ = luaL_newstate();
  if (!lua_) throw Error(ErrorKind::memory, "cannot make a Lua state: out of memory");
  *static_cast<State**>(lua_getextraspace(lua_)) = this;
  lua_atpanic(lua_, panic);
  lua_pushcfunction(lua_, open_libraries);
  if (lua_pcall(lua_, 0, 0, 0) != LUA_OK) {
    Error error = pop_error(lua_);
    lua_close(lua_);
    throw error;
  }
  if (options_.collect_every > 0) native_bytes_.stress(options_.collect_every);
}

State::~State() { close(); }

void State::close() noexcept {
  if (!lua_) return;
  Interrupts::Scope scope(interrupts_);  // finalizers can be interrupted
  lua_close(lua_);
  lua_ = nullptr;
  interrupts_.close();
}

int State::call(int nargs, int nresults) {
  Interrupts::Scope scope(interrupts_);
  const int function = lua_gettop(lua_) - nargs;
  if (scope.outermost()) {
    try {
      interrupts_.run_posted();
    } catch (const Error&) {
      lua_settop(lua_, function - 1);
      throw;
    }
  }
  lua_pushcfunction(lua_, message_handler);
  lua_insert(lua_, function);
  const int status = lua_pcall(lua_, nargs, nresults, function);
  lua_remove(lua_, function);
  if (status != LUA_OK) {
    Error error = pop_error(lua_);
    if (scope.outermost() && interrupts_.exit_code()) return 0;
    if (!scope.stopped() || error.kind() == ErrorKind::interrupted) throw error;
    // An error on the way out, in a __close handler: the script was stopped all the same.
    Error stopped(ErrorKind::interrupted, "interrupted", error.what());
    stopped.set_context("", error.where(), error.trace());
    throw stopped;
  }
  return lua_gettop(lua_) - function + 1;
}

int State::run_file(const std::string& path) {
  if (!std::ifstream(path)) throw_io("cannot open the script " + path);
  lua_pushcfunction(lua_, [](lua_State* L) {
    search_beside(L, *static_cast<const std::string*>(lua_touserdata(L, 1)));
    return 0;
  });
  lua_pushlightuserdata(lua_, const_cast<std::string*>(&path));
  if (lua_pcall(lua_, 1, 0, 0) != LUA_OK) throw pop_error(lua_);
  if (luaL_loadfilex(lua_, path.c_str(), "t") != LUA_OK) throw load_error(lua_, path);
  return call(push_args(lua_, options_.args), LUA_MULTRET);
}

int State::run_string(std::string_view code, const std::string& chunk_name) {
  if (luaL_loadbufferx(lua_, code.data(), code.size(), chunk_name.c_str(), "t") != LUA_OK)
    throw load_error(lua_, chunk_name.substr(chunk_name.find_first_not_of("=@") == 1));
  return call(push_args(lua_, options_.args), LUA_MULTRET);
}

}  // namespace trainhost::vm
