// The metatable that every native type gets, and the errors of the type check.
#include "bindings/object.h"

namespace trainhost::bindings {

void raise_closed(const char* type, const std::string& argument) {
  throw_usage((argument.empty() ? std::string() : "argument '" + argument + "': ") + "this " + type + " is closed",
              kClosedHint);
}

void raise_not_a(lua_State* L, const char* type, int index) {
  throw_usage(std::string("expected a ") + type + ", got " + describe(L, index));
}

void define(lua_State* L, TypeId id, const char* name, lua_CFunction gc, lua_CFunction close, const Row* methods,
            const Row* metamethods) {
  const void*& slot = vm::State::of(L).metatable(id);
  if (slot) return;
  lua_newtable(L);
  lua_newtable(L);
  if (methods) set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  if (close) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
  }
  if (metamethods) set_functions(L, metamethods);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
  slot = lua_topointer(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &slot);
}

}  // namespace trainhost::bindings
