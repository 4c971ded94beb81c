// torch.autograd.Function: apply, and the node whose backward calls Lua.
#include "bindings/autograd_function.h"

#include <ATen/core/grad_mode.h>
#include <ATen/functorch/DynamicLayer.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "bindings/function_class.h"
#include "bindings/indexing.h"
#include "bindings/reference.h"
#include "host/autograd/engine.h"

namespace trainhost::bindings {

// Made by each call of apply.
class FunctionNode final : public torch::autograd::Node {
 public:
  explicit FunctionNode(std::shared_ptr<FunctionContext> context) : shared(std::move(context)) { shared->node = this; }
  ~FunctionNode() override { shared->node = nullptr; }

  std::string name() const override { return shared->name; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& grads) override;
  void release_variables() override;

  // Keeps what forward gave to save, once the outputs have their history.
  void save();
  std::vector<at::Tensor> saved();
  // The tangents of the outputs, by the class's jvp.
  torch::autograd::variable_list forward_gradients(const torch::autograd::variable_list& tangents);

  const std::shared_ptr<FunctionContext> shared;
  std::shared_ptr<Reference> context;  // ctx
  std::vector<torch::autograd::VariableInfo> outputs;
  bool recording = false;  // does any argument require a gradient?

 private:
  std::vector<torch::autograd::SavedVariable> saved_;
  bool freed_ = false;
  bool in_jvp_ = false;
};

namespace {

using torch::autograd::variable_list;

std::unordered_set<at::TensorImpl*> impls(const std::vector<at::Tensor>& tensors) {
  std::unordered_set<at::TensorImpl*> set;
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined()) set.insert(tensor.unsafeGetTensorImpl());
  return set;
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
  struct Undo {  // a ctx that fails to be held for its outputs may hold one: a cycle
    FunctionNode* node;
    ~Undo() {
      if (node) node->context.reset();
    }
  } undo{node.get()};
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
  undo.node = nullptr;
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
  for (const at::Tensor& output : outputs) push_tensor(L, output);
  return count;
}

// undefined_grad(tensor): the same values, and no gradient reaches the tensor.
int undefined_grad(lua_State* L) {
  const auto node = autograd::make_node<torch::autograd::UndefinedGrad>();
  const variable_list outputs = (*node)({check_tensor(L, 1)});
  return push_tensor(L, outputs.at(0)), 1;
}

}  // namespace

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
    for (const at::Tensor& grad : grads) push_tensor(inner, grad);
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
      if (tensor && next < tangents.size()) push_tensor(inner, tangents[next++]);
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
