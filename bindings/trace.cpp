// native.trace: what a forward computes, seen from its operators.
#include "host/autograd/trace.h"
#include "bindings/guard.h"
#include "bindings/tensor.h"

namespace trainhost::bindings {
namespace {

autograd::Trace& current() {
  if (autograd::Trace* trace = autograd::Trace::current()) return *trace;
  throw_usage("native.trace: nothing is traced");
}

// run(fn, ...): fn's results; the trace ends where fn raises, too.
int run(lua_State* L) {
  luaL_checkany(L, 1);
  const autograd::Trace trace;
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

int flops(lua_State* L) { return lua_pushinteger(L, current().flops()), 1; }

int mark(lua_State* L) {
  current().mark(check_tensor(L, 1), {luaL_checkinteger(L, 2)});
  return 0;
}

int sources_of(lua_State* L) {
  const autograd::Trace::Sources sources = current().sources_of(check_tensor(L, 1));
  lua_createtable(L, static_cast<int>(sources.size()), 0);
  for (size_t i = 0; i < sources.size(); ++i) {
    lua_pushinteger(L, sources[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

constexpr Row kFunctions[] = {
    {"run", guarded<run>, "---Calls fn(...) and traces its operators.\n---@param fn function\n---@return any ..."},
    {"flops", guarded<flops>, "---Floating point operations of this trace so far.\n---@return integer"},
    {"mark", guarded<mark>,
     "---Gives a tensor a number: what is computed from it is known by that.\n---@param tensor Tensor\n---@param "
     "number "
     "integer"},
    {"sources_of", guarded<sources_of>,
     "---The numbers of what a tensor was computed from.\n---@param tensor Tensor\n---@return integer[]"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_trace(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
