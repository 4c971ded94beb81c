// pcall, xpcall, coroutines, finalizers that an interruption passes: see Note [How a script is stopped].

#include <lua.hpp>
#include <new>
#include <string>
#include <string_view>

#include "host/vm/coroutine_modes.h"
#include "host/vm/errors.h"
#include "host/vm/finalizers.h"
#include "host/vm/interrupt.h"
#include "host/vm/process.h"
#include "host/vm/state.h"
#include "host/vm/traceback.h"
#include "host/vm/weak_table.h"

namespace trainhost::vm {
namespace {

Interrupts& interrupts(lua_State* L) { return State::of(L).interrupts(); }

// The continuation's context holds what stands below the results and the count of stops before the call.
lua_KContext context(lua_State* L, int below) { return static_cast<lua_KContext>(interrupts(L).stops()) * 4 + below; }

int finish_pcall(lua_State* L, int status, lua_KContext ctx) {
  wake_collector(L);
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - static_cast<int>(ctx & 3);
  if (static_cast<unsigned>(ctx >> 2) != interrupts(L).stops()) return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

// Lua names no line where its stack overflows inside a C function. `where`: the coroutine that was running.
void add_line(lua_State* L, lua_State* where) {
  if (lua_type(L, -1) != LUA_TSTRING) return;
  const std::string_view text = lua_tostring(L, -1);
  if (!text.starts_with("C stack overflow") && !text.starts_with("stack overflow")) return;
  try {
    if (const std::string line = user_line(where); !line.empty())
      lua_pushfstring(L, "%s: %s", line.c_str(), text.data());
    else return;
  } catch (const std::bad_alloc&) {
    return;
  }
  lua_remove(L, -2);
}

int handle_overflow(lua_State* L) { return add_line(L, L), 1; }

int protected_call(lua_State* L) {
  luaL_checkany(L, 1);
  lua_pushcfunction(L, handle_overflow);
  lua_pushboolean(L, 1);
  lua_rotate(L, 1, 2);
  const lua_KContext ctx = context(L, 1);
  return finish_pcall(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, ctx, finish_pcall), ctx);
}

// Upvalues: the script's handler, the count of stops before the call.
int handle(lua_State* L) {
  if (static_cast<unsigned>(lua_tointeger(L, lua_upvalueindex(2))) != interrupts(L).stops()) return 1;
  lua_settop(L, 1);
  add_line(L, L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

int protected_call_with_handler(lua_State* L) {
  const int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushinteger(L, interrupts(L).stops());
  lua_pushcclosure(L, handle, 2);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  const lua_KContext ctx = context(L, 2);
  return finish_pcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, ctx, finish_pcall), ctx);
}

lua_State* check_coroutine(lua_State* L) {
  lua_State* coroutine = lua_tothread(L, 1);
  luaL_argexpected(L, coroutine, 1, "coroutine");
  return coroutine;
}

// Moves `count` arguments over and resumes. The results (their number), or one error value (-1), are on L's stack.
int resume(lua_State* L, lua_State* coroutine, int count) {
  Interrupts::Running running(interrupts(L), coroutine);
  if (!running) {
    lua_pushliteral(L, "too many nested coroutines");
    return -1;
  }
  if (!lua_checkstack(coroutine, count)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  ModeSwitch modes(L, coroutine);
  lua_xmove(L, coroutine, count);
  int results = 0;
  const int status = lua_resume(coroutine, L, count, &results);
  modes.end(status);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(coroutine, L, 1);
    add_line(L, coroutine);
    wake_collector(L);
    return -1;
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(coroutine, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(coroutine, L, results);
  return results;
}

// Runs the pending __close handlers of a coroutine and resets it; the status, with an error value on its stack.
int reset(lua_State* L, lua_State* coroutine) {
  Interrupts::Running running(interrupts(L), coroutine);
  if (!running) luaL_error(L, "too many nested coroutines");
  ModeSwitch modes(L, coroutine);
  const int status = lua_resetthread(coroutine);
  modes.end_closed();
  return status;
}

// Note [A failed coroutine is closed]
// Lua leaves the `<close>` variables of a coroutine that fails open until coroutine.close: no_grad would stay on, a
// torch.func layer entered. So resume closes it, as wrap does, and its traceback is kept for debug.traceback.
const char kTraces = 0;  // its address: weak table coroutine -> traceback

void close_failed(lua_State* L, lua_State* coroutine) {
  const int status = lua_status(coroutine);
  if (status == LUA_OK || status == LUA_YIELD) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kTraces) == LUA_TTABLE) {
    lua_pushvalue(L, 1);
    luaL_traceback(L, coroutine, nullptr, 0);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  reset(L, coroutine);
  lua_settop(coroutine, 0);
}

// debug.traceback([coroutine,] [message [, level]]), which knows the traces of failed coroutines.
int traceback_of(lua_State* L) {
  lua_State* of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  const int argument = of == L && !lua_isthread(L, 1) ? 1 : 2;
  const char* message = lua_tostring(L, argument);
  if (!message && !lua_isnoneornil(L, argument)) return lua_pushvalue(L, argument), 1;
  const auto level = static_cast<int>(luaL_optinteger(L, argument + 1, of == L ? 1 : 0));
  if (argument == 2 && lua_rawgetp(L, LUA_REGISTRYINDEX, &kTraces) == LUA_TTABLE) {
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TSTRING) {
      if (!message) return 1;
      lua_pushfstring(L, "%s\n%s", message, lua_tostring(L, -1));
      return 1;
    }
  }
  luaL_traceback(L, of, message, level);
  return 1;
}

int coroutine_resume(lua_State* L) {
  lua_State* coroutine = check_coroutine(L);
  const unsigned before = interrupts(L).stops();
  const int results = resume(L, coroutine, lua_gettop(L) - 1);
  if (results >= 0) {
    lua_pushboolean(L, 1);
    lua_insert(L, -(results + 1));
    return results + 1;
  }
  close_failed(L, coroutine);
  if (before != interrupts(L).stops()) return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

int call_wrapped(lua_State* L) {
  lua_State* coroutine = lua_tothread(L, lua_upvalueindex(1));
  const int results = resume(L, coroutine, lua_gettop(L));
  if (results >= 0) return results;
  int status = lua_status(coroutine);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = reset(L, coroutine);
    lua_xmove(coroutine, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

int coroutine_wrap(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State* coroutine = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, coroutine, 1);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

// Why a coroutine cannot be closed; null if it can.
const char* busy(lua_State* L, lua_State* coroutine) {
  if (L == coroutine) return "running";
  lua_Debug ar;
  return lua_status(coroutine) == LUA_OK && lua_getstack(coroutine, 0, &ar) ? "normal" : nullptr;
}

int coroutine_close(lua_State* L) {
  lua_State* coroutine = check_coroutine(L);
  if (const char* why = busy(L, coroutine)) return luaL_error(L, "cannot close a %s coroutine", why);
  const unsigned before = interrupts(L).stops();
  if (reset(L, coroutine) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(coroutine, L, 1);
  if (before != interrupts(L).stops()) return lua_error(L);
  return 2;
}

// The finalizer of a script's object, in a coroutine of its own: Lua turns hooks off in the one that collects.
int finalize(lua_State* L) {
  lua_State* coroutine = lua_newthread(L);
  lua_insert(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_xmove(L, coroutine, 1);
  const unsigned before = interrupts(L).stops();
  if (resume(L, coroutine, 1) >= 0) return 0;
  if (before != interrupts(L).stops()) interrupts(L).swallowed();
  return lua_error(L);
}

int set_metatable(lua_State* L) {
  const int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  if (type == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) == LUA_TFUNCTION && !lua_iscfunction(L, -1)) {
      lua_pushcclosure(L, finalize, 1);
      lua_pushliteral(L, "__gc");
      lua_insert(L, -2);
      lua_rawset(L, 2);
    }
    lua_settop(L, 2);
  }
  lua_setmetatable(L, 1);
  return 1;
}

}  // namespace

void open_protected(lua_State* L) {
  open_finalizers(L);
  open_coroutine_modes(L);
  static constexpr luaL_Reg kBase[] = {{"pcall", protected_call},
                                       {"xpcall", protected_call_with_handler},
                                       {"setmetatable", set_metatable},
                                       {nullptr, nullptr}};
  static constexpr luaL_Reg kCoroutine[] = {
      {"resume", coroutine_resume}, {"wrap", coroutine_wrap}, {"close", coroutine_close}, {nullptr, nullptr}};
  lua_pushglobaltable(L);
  luaL_setfuncs(L, kBase, 0);
  lua_getfield(L, -1, "coroutine");
  luaL_setfuncs(L, kCoroutine, 0);
  lua_getfield(L, -2, "debug");
  lua_pushcfunction(L, traceback_of);
  lua_setfield(L, -2, "traceback");
  lua_pop(L, 1);
  push_weak_table(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kTraces);
  lua_pop(L, 2);
  open_process(L);
}

}  // namespace trainhost::vm
