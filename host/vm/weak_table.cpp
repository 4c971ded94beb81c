// Weak tables.
#include "host/vm/weak_table.h"

#include <lua.hpp>

namespace trainhost::vm {

void push_weak_table(lua_State* L, const char* mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

}  // namespace trainhost::vm
