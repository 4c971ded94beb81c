// Opens every native module in a state: one row a noun.
#include "bindings/bindings.h"

#include <lua.hpp>

namespace trainhost::bindings {

// Each pushes its module table, as a lua_CFunction given to `require "native.NOUN"`.
int open_tensor(lua_State* L);
int open_ops(lua_State* L);
int open_data(lua_State* L);
int open_save(lua_State* L);
int open_model(lua_State* L);
int open_optim(lua_State* L);
int open_track(lua_State* L);
int open_vm(lua_State* L);
int open_file(lua_State* L);
int open_json(lua_State* L);
int open_log(lua_State* L);

void open_all(lua_State* L) {
  static constexpr struct {
    const char* module;
    lua_CFunction open;
  } kModules[] = {
      {"native.tensor", open_tensor}, {"native.ops", open_ops},     {"native.data", open_data},
      {"native.save", open_save},     {"native.model", open_model}, {"native.optim", open_optim},
      {"native.track", open_track},   {"native.vm", open_vm},       {"native.file", open_file},
      {"native.json", open_json},     {"native.log", open_log},
  };
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const auto& row : kModules) {
    lua_pushcfunction(L, row.open);
    lua_setfield(L, -2, row.module);
  }
  lua_pop(L, 1);
}

}  // namespace trainhost::bindings
