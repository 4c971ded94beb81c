// A C++ value that a state's registry holds, and nothing else.
#pragma once

#include <lua.hpp>

namespace trainhost::bindings {

// Its `__gc`, which debug can get hold of: anything but a value of this metatable (upvalue 1) is left alone, and the
// same value is not destroyed twice.
template <class T>
int collect_owned(lua_State* L) {
  if (lua_type(L, 1) != LUA_TUSERDATA || !lua_getmetatable(L, 1)) return 0;
  if (!lua_rawequal(L, -1, lua_upvalueindex(1))) return 0;
  lua_pushnil(L);
  lua_setmetatable(L, 1);
  static_cast<T*>(lua_touserdata(L, 1))->~T();
  return 0;
}

// What the registry holds under this key; nullptr once it is destroyed, as the state closes.
template <class T>
T* owned(lua_State* L, const void* key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  const bool there = lua_getmetatable(L, -1) != 0;
  auto* value = there ? static_cast<T*>(lua_touserdata(L, -2)) : nullptr;
  lua_pop(L, there ? 2 : 1);
  return value;
}

// Gives the userdata on top of the stack, which holds a T, a metatable that destroys it.
template <class T>
void set_collected(lua_State* L) {
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, collect_owned<T>, 1);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

}  // namespace trainhost::bindings
