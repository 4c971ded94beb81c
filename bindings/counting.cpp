// ipairs and table.unpack, which count from 1, refuse tensors and modules.
#include "bindings/counting.h"

#include <string>

#include "bindings/guard.h"
#include "bindings/model_fields.h"
#include "bindings/tensor.h"

namespace trainhost::bindings {
namespace {

// `name` of the module at 1.
[[noreturn]] void refuse_module(lua_State* L, const std::string& name) {
  push_class_field(L, "__name");
  const std::string refused = name + " does not take a " + (lua_tostring(L, -1) ? lua_tostring(L, -1) : "Module");
  if (push_class_field(L, "__getitem") != LUA_TNIL)
    throw_usage(refused + ", whose indices begin at 0", "use `for i, item in pairs(list) do` or list:iter()");
  if (push_class_field(L, "__pairs") != LUA_TNIL)
    throw_usage(refused + ", which has names", "use `for name, item in pairs(dict) do` or dict:values()");
  throw_usage(refused, "use model:children() for a table of its children");
}

// ipairs(x) and table.unpack(x) would count from 1 and end in an index error: say what to write instead.
int not_from_zero(lua_State* L) {
  const auto name = [L] { return std::string(lua_tostring(L, lua_upvalueindex(2))); };
  if (test<at::Tensor>(L, 1))
    throw_usage(name() + " does not take a Tensor, whose indices begin at 0",
                "use x:iter() for its rows or x:unbind() for a table of them");
  if (test<torch::nn::Module>(L, 1)) refuse_module(L, name());
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// Replaces the function `name` of the table on top of the stack.
void refuse(lua_State* L, const char* name) {
  lua_getfield(L, -1, name);
  lua_pushstring(L, name);
  lua_pushcclosure(L, guarded<not_from_zero>, 2);
  lua_setfield(L, -2, name);
}

}  // namespace

void refuse_counting_from_one(lua_State* L) {
  lua_pushglobaltable(L);
  refuse(L, "ipairs");
  lua_getfield(L, -1, "table");
  refuse(L, "unpack");
  lua_pop(L, 2);
}

}  // namespace trainhost::bindings
