// torch.autograd.Function: apply.
#include "bindings/autograd_function.h"

#include <ATen/core/grad_mode.h>
#include <ATen/functorch/DynamicLayer.h>
#include <c10/core/AutogradState.h>
#include <torch/csrc/autograd/functions/basic_ops.h>

#include <unordered_set>

#include "bindings/function_node.h"
#include "host/autograd/engine.h"

namespace trainhost::bindings {
namespace {

using torch::autograd::variable_list;

std::unordered_set<at::TensorImpl*> impls(const std::vector<at::Tensor>& tensors) {
  std::unordered_set<at::TensorImpl*> set;
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined()) set.insert(tensor.unsafeGetTensorImpl());
  return set;
}

struct NoForwardGrad {
  NoForwardGrad() : state(c10::AutogradState::get_tls_state()), before(state.get_fw_grad_mode()) {
    state.set_fw_grad_mode(false);
  }
  ~NoForwardGrad() { state.set_fw_grad_mode(before); }
  c10::AutogradState& state;
  const bool before;
};

// forward(ctx, ...), or forward(...) and then setup_context(ctx, inputs, output). The ctx lies at `ctx`, the arguments
// right above; the results are left on top, their number is returned.
int call_forward(lua_State* L, int ctx, int arguments) {
  const at::AutoGradMode no_grad(false);
  const NoForwardGrad no_forward_grad;
  const int top = lua_gettop(L);
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

// Does the script's part of the ctx hold something that could hold the graph?
bool has_objects(lua_State* L, int ctx) {
  bool found = false;
  if (lua_getiuservalue(L, ctx, 1) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
      found = found || lua_type(L, -1) == LUA_TUSERDATA || lua_istable(L, -1) || lua_isfunction(L, -1);
  lua_pop(L, 1);
  return found;
}

// apply(class, label, ...)
int apply(lua_State* L) {
  constexpr int kArguments = 3;
  luaL_checktype(L, 1, LUA_TTABLE);
  const int arguments = lua_gettop(L) - kArguments + 1;
  luaL_checkstack(L, 2 * arguments + 20, "apply");
  autograd::install_engine();
  auto context = std::make_shared<FunctionContext>();
  context->name = luaL_checkstring(L, 2);
  variable_list inputs;
  for (int i = 0; i < arguments; ++i) {
    const at::Tensor* tensor = test_tensor(L, kArguments + i);
    context->is_tensor.push_back(tensor != nullptr);
    if (tensor) inputs.push_back(*tensor);
  }
  auto node = autograd::make_node<FunctionNode>(context);
  node->recording = c10::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad(inputs);
  if (node->recording) node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  push<FunctionContext>(L, context);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  lua_insert(L, kArguments);  // the ctx right below the arguments
  const int ctx = kArguments;
  node->context = std::make_shared<Reference>(L, ctx);
  const int count = call_forward(L, ctx, arguments);
  const int first = lua_gettop(L) - count + 1;
  std::vector<std::optional<at::Tensor>> raw;
  for (int i = 0; i < count; ++i) {
    const at::Tensor* tensor = test_tensor(L, first + i);
    raw.push_back(tensor ? std::optional(*tensor) : std::nullopt);
  }
  lua_pushvalue(L, ctx);
  const bool with_setup = push_from_class(L, "setup_context") != LUA_TNIL;
  lua_pop(L, 2);
  for (const at::Tensor& tensor : context->dirty)
    if (tensor.defined()) torch::autograd::impl::bump_version(tensor);
  const auto outputs = torch::autograd::_wrap_outputs(
      inputs, impls(context->non_differentiable), impls(context->dirty), raw,
      node->recording ? autograd::NodePtr(node) : nullptr,
      [node](const variable_list&, const variable_list& tangents) { return node->forward_gradients(tangents); },
      with_setup ? impls(context->to_save) : std::unordered_set<at::TensorImpl*>(),
      [](const at::Tensor& x) { return x.view_as(x); }, /*pure_view=*/false);
  if (node->recording) {
    for (const auto& output : outputs) {
      if (output) node->outputs.emplace_back(*output);
      else node->outputs.emplace_back();
    }
    node->save();
  }
  for (int i = 0; i < count; ++i) {
    if (!outputs[static_cast<size_t>(i)]) continue;
    const at::Tensor& output = *outputs[static_cast<size_t>(i)];
    if (const at::Tensor* same = test_tensor(L, first + i); same && same->is_same(output)) continue;
    push_view(L, output);
    lua_replace(L, first + i);
  }
  if (node->recording && has_objects(L, ctx)) node->context->held_for(L, first, count, node.get());
  return count;
}

// delayed_error(message, ...): the tensors, with an error for a gradient.
int delayed_error(lua_State* L) {
  const int count = lua_gettop(L) - 1;
  variable_list inputs;
  for (int i = 0; i < count; ++i) {
    const at::Tensor* tensor = test_tensor(L, 2 + i);
    inputs.push_back(tensor ? tensor->detach().set_requires_grad(true) : at::Tensor());
  }
  auto node = autograd::make_node<torch::autograd::DelayedError>(luaL_checkstring(L, 1), count);
  const variable_list outputs = (*node)(std::move(inputs));
  for (const at::Tensor& output : outputs) push_gradient(L, output);
  return count;
}

// undefined_grad(tensor): the same values, and no gradient reaches the tensor.
int undefined_grad(lua_State* L) {
  const auto node = autograd::make_node<torch::autograd::UndefinedGrad>();
  const variable_list outputs = (*node)({check_tensor(L, 1)});
  return push_gradient(L, outputs.at(0)), 1;
}

}  // namespace

void set_function(lua_State* L) {
  static constexpr Row kRows[] = {
      {"apply", guarded<apply>,
       "Calls forward of a Function's class and records its backward.\n@param class table\n@param label string what "
       "grad_fn is called\n@param ... any the arguments of forward\n@return any ... what forward returned"},
      {"delayed_error", guarded<delayed_error>,
       "The tensors, whose gradient is an error.\n@param message string\n@param ... Tensor?\n@return Tensor? ..."},
      {"undefined_grad", guarded<undefined_grad>,
       "The same values; the gradient that reaches the tensor is undefined.\n@param tensor Tensor\n@return Tensor"},
      {nullptr, nullptr, nullptr}};
  set_context(L);
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
