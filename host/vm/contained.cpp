// A call that ends alone.
#include "host/vm/contained.h"

#include <lua.hpp>

#include "host/vm/finalizers.h"

namespace trainhost::vm {
namespace {
using End = Interrupts::Bound::End;
}

int contained_call(lua_State* L, int function, Interrupts::Bound& bound) {
  luaL_checkstack(L, 4, nullptr);
  const int status = lua_pcall(L, lua_gettop(L) - function, LUA_MULTRET, 0);
  wake_collector(L);
  int code = 0;
  const End end = bound.end(status != LUA_OK, code);
  if (end == End::stopped) return lua_error(L);
  if (end == End::cancelled || end == End::exited) lua_settop(L, function - 1);
  lua_pushstring(L, end == End::returned ? "returned"
                    : end == End::failed ? "failed"
                    : end == End::exited ? "exited"
                                         : "cancelled");
  lua_insert(L, function);
  if (end == End::exited) lua_pushinteger(L, code);
  return lua_gettop(L) - function + 1;
}

}  // namespace trainhost::vm
