// The script's class of a torch.autograd.Function.
#include "bindings/function_class.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/AutogradState.h>

#include "bindings/guard.h"

namespace trainhost::bindings {
namespace {

struct NoForwardGrad {
  NoForwardGrad() : state(c10::AutogradState::get_tls_state()), before(state.get_fw_grad_mode()) {
    state.set_fw_grad_mode(false);
  }
  ~NoForwardGrad() { state.set_fw_grad_mode(before); }
  c10::AutogradState& state;
  const bool before;
};

}  // namespace

int push_from_class(lua_State* L, const char* name) {
  lua_getiuservalue(L, -1, 2);
  const int type = lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return type;
}

int call_forward(lua_State* L, int ctx, int arguments) {
  const at::AutoGradMode no_grad(false);
  const NoForwardGrad no_forward_grad;
  const int top = lua_gettop(L);
  luaL_checkstack(L, 2 * arguments + 8, "arguments");
  lua_pushvalue(L, ctx);
  const bool has_setup = push_from_class(L, "setup_context") != LUA_TNIL;
  const int setup = lua_gettop(L);
  lua_pushvalue(L, ctx);
  if (push_from_class(L, "forward") == LUA_TNIL)
    throw_usage("You must implement the forward function for custom autograd.Function.");
  lua_remove(L, -2);
  if (!has_setup) lua_pushvalue(L, ctx);
  for (int i = 1; i <= arguments; ++i) lua_pushvalue(L, ctx + i);
  lua_call(L, arguments + !has_setup, LUA_MULTRET);
  const int count = lua_gettop(L) - setup;
  if (has_setup) {
    luaL_checkstack(L, 8, "setup_context");
    lua_pushvalue(L, setup);
    lua_pushvalue(L, ctx);
    lua_createtable(L, arguments, 1);
    for (int i = 1; i <= arguments; ++i) {
      lua_pushvalue(L, ctx + i);
      lua_rawseti(L, -2, i);
    }
    lua_pushinteger(L, arguments);
    lua_setfield(L, -2, "n");
    if (count == 1) {
      lua_pushvalue(L, setup + 1);
    } else {
      lua_createtable(L, count, 0);
      for (int i = 1; i <= count; ++i) {
        lua_pushvalue(L, setup + i);
        lua_rawseti(L, -2, i);
      }
    }
    lua_call(L, 3, 0);
  }
  lua_rotate(L, top + 1, count);  // the two below the results go
  lua_settop(L, top + count);
  return count;
}

}  // namespace trainhost::bindings
