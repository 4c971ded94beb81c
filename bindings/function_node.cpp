// The node of a torch.autograd.Function: backward, vjp and jvp of its class.
#include "bindings/function_node.h"

#include "bindings/indexing.h"

namespace trainhost::bindings {

using torch::autograd::variable_list;

int push_from_class(lua_State* L, const char* name) {
  lua_getiuservalue(L, -1, 2);
  const int type = lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return type;
}

void FunctionNode::save() {
  for (const at::Tensor& tensor : shared->to_save)
    saved_.emplace_back(tensor, tensor.defined() && tensor.grad_fn().get() == this);
  shared->to_save.clear();
  shared->dirty.clear();
  shared->non_differentiable.clear();
}

variable_list FunctionNode::saved() {
  if (in_jvp_ && !shared->to_save_forward.empty()) return shared->to_save_forward;
  if (!recording || !shared->to_save.empty()) return shared->to_save;
  if (freed_) throw_usage(torch::autograd::ERR_BACKWARD_TWICE);
  variable_list tensors;
  for (const auto& saved : saved_) tensors.push_back(saved.unpack(getptr()));
  return tensors;
}

void FunctionNode::release_variables() {
  saved_.clear();
  freed_ = true;
}

variable_list FunctionNode::apply(variable_list&& grads) {
  const autograd::NodePtr keep = getptr();
  at::OptionalDeviceGuard device_guard;
  if (shared->materialize_grads)
    for (size_t i = 0; i < grads.size(); ++i)
      if (!grads[i].defined()) grads[i] = outputs[i].zeros(device_guard);
  lua_State* L = context->running();
  variable_list results;
  protect(L, 0, [&](lua_State* inner) {
    luaL_checkstack(inner, static_cast<int>(grads.size()) + 8, "backward");
    context->push(inner);
    const bool has_vjp = push_from_class(inner, "vjp") != LUA_TNIL;
    lua_pushvalue(inner, 1);
    const bool has_backward = push_from_class(inner, "backward") != LUA_TNIL;
    lua_remove(inner, -2);
    if (has_backward == has_vjp)
      throw_usage(has_vjp ? "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should "
                            "only implement one of them."
                          : "You must implement either the backward or vjp method for your custom autograd.Function to "
                            "use it with backward mode AD.");
    lua_remove(inner, has_vjp ? 3 : 2);
    lua_pushvalue(inner, 1);
    for (const at::Tensor& grad : grads) push_gradient(inner, grad);
    lua_call(inner, static_cast<int>(grads.size()) + 1, LUA_MULTRET);
    int count = lua_gettop(inner) - 1;
    const int expected = static_cast<int>(shared->is_tensor.size());
    while (count > expected && lua_isnil(inner, count + 1)) --count;  // as PyTorch, surplus Nones
    if (count != expected)
      throw_usage("function " + shared->name + " returned an incorrect number of gradients (expected " +
                  std::to_string(expected) + ", got " + std::to_string(count) + ")");
    for (int i = 0; i < count; ++i) {
      const at::Tensor* tensor = test_tensor(inner, i + 2);
      if (!tensor && !lua_isnil(inner, i + 2) && !is_none(inner, i + 2))
        throw_usage("function " + shared->name + ": expected Variable or None (got " + describe(inner, i + 2) + ")");
      if (shared->is_tensor[static_cast<size_t>(i)]) results.push_back(tensor ? *tensor : at::Tensor());
      else if (tensor)
        throw_usage("function " + shared->name + " returned a gradient different from None at position " +
                    std::to_string(i + 1) + ", but the corresponding forward input was not a Variable");
    }
    lua_settop(inner, 0);
  });
  return results;
}

variable_list FunctionNode::forward_gradients(const variable_list& tangents) {
  lua_State* L = context->running();
  variable_list results;
  in_jvp_ = true;
  struct End {
    bool& flag;
    ~End() { flag = false; }
  } end{in_jvp_};
  protect(L, 0, [&](lua_State* inner) {
    luaL_checkstack(inner, static_cast<int>(shared->is_tensor.size()) + 8, "jvp");
    context->push(inner);
    if (push_from_class(inner, "jvp") == LUA_TNIL)
      throw_usage("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.");
    lua_pushvalue(inner, 1);
    size_t next = 0;
    for (const bool tensor : shared->is_tensor) {
      if (tensor && next < tangents.size()) push_gradient(inner, tangents[next++]);
      else lua_pushnil(inner);
    }
    lua_call(inner, static_cast<int>(shared->is_tensor.size()) + 1, LUA_MULTRET);
    for (int i = 2; i <= lua_gettop(inner); ++i) {
      const at::Tensor* tensor = test_tensor(inner, i);
      results.push_back(tensor ? *tensor : at::Tensor());
    }
    lua_settop(inner, 0);
  });
  return results;
}

std::vector<at::Tensor> saved_tensors(FunctionNode& node) { return node.saved(); }

std::vector<bool> needs_input_grad(const FunctionNode& node) {
  std::vector<bool> needs;
  size_t edge = 0;
  for (const bool tensor : node.shared->is_tensor) {
    needs.push_back(tensor && edge < node.num_outputs() && node.task_should_compute_output(edge));
    edge += tensor;
  }
  return needs;
}

bool push_context(lua_State* L, torch::autograd::Node* node) {
  auto* function = dynamic_cast<FunctionNode*>(node);
  if (!function || !function->context) return false;
  function->context->push(L);
  return true;
}

}  // namespace trainhost::bindings
