// ctx of torch.autograd.Function: what forward leaves for backward.
#include "bindings/autograd_function.h"
#include "bindings/indexing.h"
#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

FunctionContext& context_at(lua_State* L, int index) {
  FunctionContext& context = *check<FunctionContext>(L, index);
  if (!context.node) throw_usage("this ctx has outlived its node");
  return context;
}

// The arguments from 2 on: Tensors or nil.
std::vector<at::Tensor> read_tensors(lua_State* L, const char* method) {
  std::vector<at::Tensor> tensors;
  for (int i = 2; i <= lua_gettop(L); ++i) {
    const at::Tensor* tensor = test_tensor(L, i);
    if (!tensor && !lua_isnil(L, i) && !is_none(L, i))
      throw_usage(std::string(method) + " can only save variables, but argument " + std::to_string(i - 2) +
                  " is of type " + describe(L, i));
    tensors.push_back(tensor ? *tensor : at::Tensor());
  }
  return tensors;
}

int save_for_backward(lua_State* L) { return context_at(L, 1).to_save = read_tensors(L, "save_for_backward"), 0; }
int save_for_forward(lua_State* L) { return context_at(L, 1).to_save_forward = read_tensors(L, "save_for_forward"), 0; }
int mark_dirty(lua_State* L) { return context_at(L, 1).dirty = read_tensors(L, "mark_dirty"), 0; }
int mark_non_differentiable(lua_State* L) {
  return context_at(L, 1).non_differentiable = read_tensors(L, "mark_non_differentiable"), 0;
}
int set_materialize_grads(lua_State* L) {
  context_at(L, 1).materialize_grads = check_boolean(L, 2, "ctx.set_materialize_grads", "value");
  return 0;
}

int get_saved_tensors(lua_State* L) {
  const auto tensors = saved_tensors(*context_at(L, 1).node);
  lua_createtable(L, static_cast<int>(tensors.size()), 0);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].defined()) push_view(L, tensors[i]);
    else push_none(L);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

// In forward: which arguments require a gradient; in backward: which gradients this backward needs.
int get_needs_input_grad(lua_State* L) {
  const std::vector<bool> needs = needs_input_grad(*context_at(L, 1).node);
  lua_createtable(L, static_cast<int>(needs.size()), 0);
  for (size_t i = 0; i < needs.size(); ++i) {
    lua_pushboolean(L, needs[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

constexpr Row kAttributes[] = {{"saved_tensors", guarded<get_saved_tensors>,
                                "What save_for_backward was given; torch.None for nil.\n@type Tensor[]"},
                               {"needs_input_grad", guarded<get_needs_input_grad>,
                                "Which arguments of forward need a gradient, 1-based.\n@type boolean[]"},
                               {nullptr, nullptr, nullptr}};

constexpr Row kMethods[] = {
    {"save_for_backward", guarded<save_for_backward>,
     "Keeps inputs and outputs of forward for ctx.saved_tensors; call it once.\n@param ... Tensor?"},
    {"save_for_forward", guarded<save_for_forward>, "The same for jvp.\n@param ... Tensor?"},
    {"mark_dirty", guarded<mark_dirty>, "Names the inputs that forward changes in place.\n@param ... Tensor"},
    {"mark_non_differentiable", guarded<mark_non_differentiable>,
     "Names outputs that have no gradient.\n@param ... Tensor"},
    {"set_materialize_grads", guarded<set_materialize_grads>,
     "Whether a gradient that is missing reaches backward as zeros, and not as nil.\n@param value boolean true at "
     "first"},
    {nullptr, nullptr, nullptr}};

// Upvalues: methods, attributes.
int context_index(lua_State* L) {
  if (!test<FunctionContext>(L, 1)) raise_not_a(L, Type<FunctionContext>::name, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
    const lua_CFunction attribute = lua_tocfunction(L, -1);
    lua_settop(L, 1);
    return attribute(L);
  }
  return lua_pushnil(L), 1;
}

int context_newindex(lua_State* L) {
  check<FunctionContext>(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

int context_tostring(lua_State* L) {
  const auto* context = test<FunctionContext>(L, 1);
  lua_pushfstring(L, "<%s>", context && *context ? (*context)->name.c_str() : "freed");
  return 1;
}

}  // namespace

void set_context(lua_State* L) {
  static constexpr Row kMetamethods[] = {{"__newindex", guarded<context_newindex>, nullptr},
                                         {"__tostring", guarded<context_tostring>, nullptr},
                                         {nullptr, nullptr, nullptr}};
  define<FunctionContext>(L, nullptr, kMetamethods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::context));
  lua_newtable(L);
  set_functions(L, kMethods);
  lua_newtable(L);
  set_functions(L, kAttributes);
  lua_pushcclosure(L, guarded<context_index>, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace trainhost::bindings
