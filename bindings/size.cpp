// torch.Size: a 1-based table that prints and compares as Python's.
#include <string>

#include "bindings/guard.h"
#include "bindings/tensor.h"
#include "bindings/tensor_type.h"

namespace trainhost::bindings {
namespace {

const char kSize = 0;  // its address is the registry key

int size_tostring(lua_State* L) {
  std::string text = "torch.Size([";
  for (lua_Integer i = 1, n = luaL_len(L, 1); i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    text += (i > 1 ? ", " : "") + std::to_string(lua_tointeger(L, -1));
    lua_pop(L, 1);
  }
  text += "])";
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int size_equal(lua_State* L) {
  const lua_Integer n = luaL_len(L, 1);
  bool equal = n == luaL_len(L, 2);
  for (lua_Integer i = 1; equal && i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    equal = lua_compare(L, -1, -2, LUA_OPEQ) != 0;
    lua_pop(L, 2);
  }
  lua_pushboolean(L, equal);
  return 1;
}

}  // namespace

void push_sizes(lua_State* L, at::IntArrayRef sizes) {
  lua_createtable(L, static_cast<int>(sizes.size()), 0);
  for (size_t i = 0; i < sizes.size(); ++i) {
    lua_pushinteger(L, sizes[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSize);
  lua_setmetatable(L, -2);
}

void open_size(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, guarded<size_tostring>);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, guarded<size_equal>);
  lua_setfield(L, -2, "__eq");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSize);
}

}  // namespace trainhost::bindings
