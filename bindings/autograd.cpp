// backward, grad, and the modes that switch recording on and off.
#include "bindings/autograd.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

// A tensor or a list of them.
std::vector<at::Tensor> check_tensors(lua_State* L, int index, const char* function, const char* name) {
  if (const at::Tensor* tensor = test_tensor(L, index)) return {*tensor};
  if (!lua_istable(L, index)) throw_argument(L, function, name, "a Tensor or a list of Tensors", index);
  std::vector<at::Tensor> tensors;
  const lua_Integer size = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    const at::Tensor* tensor = test_tensor(L, -1);
    if (!tensor && !lua_isnil(L, -1)) throw_argument(L, function, name, "a list of Tensors", lua_gettop(L));
    tensors.push_back(tensor ? *tensor : at::Tensor());
    lua_pop(L, 1);
  }
  return tensors;
}

struct BackwardOptions {
  std::vector<at::Tensor> gradients, inputs;
  std::optional<bool> retain_graph;
  bool create_graph = false;
};

BackwardOptions read_backward(lua_State* L, int first, const char* function) {
  BackwardOptions options;
  Keywords keywords(L, function, first, {"gradient", "retain_graph", "create_graph", "inputs"});
  if (int i = keywords.find("gradient")) options.gradients = check_tensors(L, i, function, "gradient");
  if (int i = keywords.find("retain_graph")) options.retain_graph = check_boolean(L, i, function, "retain_graph");
  if (int i = keywords.find("create_graph")) options.create_graph = check_boolean(L, i, function, "create_graph");
  if (int i = keywords.find("inputs")) options.inputs = check_tensors(L, i, function, "inputs");
  return options;
}

int tensor_backward(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  BackwardOptions options = read_backward(L, 2, "Tensor.backward");
  torch::autograd::backward({tensor}, options.gradients, options.retain_graph, options.create_graph, options.inputs);
  return 0;
}

// torch.autograd.backward(tensors [, grad_tensors] ...)
int backward(lua_State* L) {
  const auto tensors = check_tensors(L, 1, "torch.autograd.backward", "tensors");
  BackwardOptions options = read_backward(L, 2, "torch.autograd.backward");
  torch::autograd::backward(tensors, options.gradients, options.retain_graph, options.create_graph, options.inputs);
  return 0;
}

int grad(lua_State* L) {
  constexpr const char* kName = "torch.autograd.grad";
  const auto outputs = check_tensors(L, 1, kName, "outputs");
  const auto inputs = check_tensors(L, 2, kName, "inputs");
  Keywords keywords(L, kName, 3, {"grad_outputs", "retain_graph", "create_graph", "allow_unused"});
  std::vector<at::Tensor> grad_outputs;
  std::optional<bool> retain_graph;
  bool create_graph = false, allow_unused = false;
  if (int i = keywords.find("grad_outputs")) grad_outputs = check_tensors(L, i, kName, "grad_outputs");
  if (int i = keywords.find("retain_graph")) retain_graph = check_boolean(L, i, kName, "retain_graph");
  if (int i = keywords.find("create_graph")) create_graph = check_boolean(L, i, kName, "create_graph");
  if (int i = keywords.find("allow_unused")) allow_unused = check_boolean(L, i, kName, "allow_unused");
  auto grads = torch::autograd::grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused);
  lua_createtable(L, static_cast<int>(grads.size()), 0);
  for (size_t i = 0; i < grads.size(); ++i) {
    push_tensor(L, std::move(grads[i]));
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int tensor_requires_grad_(lua_State* L) {
  const bool requires_grad = lua_isnoneornil(L, 2) || check_boolean(L, 2, "Tensor.requires_grad_", "requires_grad");
  set_requires_grad(check_tensor(L, 1), requires_grad);
  lua_settop(L, 1);
  return 1;
}

int tensor_retain_grad(lua_State* L) {
  check_tensor(L, 1).retain_grad();
  return 0;
}

// Calls the function below its arguments under `guard`, which is left whatever happens.
template <class Guard, class... Arguments>
int call_under(lua_State* L, int function, Arguments... arguments) {
  Guard guard(arguments...);
  const int below = function - 1;
  lua_call(L, lua_gettop(L) - function, LUA_MULTRET);
  return lua_gettop(L) - below;
}

int push_mode(lua_State* L, bool enabled) {
  const bool before = c10::GradMode::is_enabled();
  push<Scope>(L, std::make_shared<Scope>([before] { c10::GradMode::set_enabled(before); }));
  c10::GradMode::set_enabled(enabled);
  return 1;
}

int no_grad(lua_State* L) { return lua_isnone(L, 1) ? push_mode(L, false) : call_under<at::AutoGradMode>(L, 1, false); }
int enable_grad(lua_State* L) {
  return lua_isnone(L, 1) ? push_mode(L, true) : call_under<at::AutoGradMode>(L, 1, true);
}
int set_grad_enabled(lua_State* L) { return push_mode(L, check_boolean(L, 1, "torch.set_grad_enabled", "mode")); }
int is_grad_enabled(lua_State* L) { return lua_pushboolean(L, c10::GradMode::is_enabled()), 1; }

int inference_mode(lua_State* L) {
  if (!lua_isnone(L, 1)) return call_under<c10::InferenceMode>(L, 1, true);
  auto* guard = new c10::InferenceMode(true);  // deleted by nothing but the scope's end
  push<Scope>(L, std::make_shared<Scope>([guard] { delete guard; }));
  return 1;
}
int close_scope(lua_State* L) {
  if (auto* scope = test<Scope>(L, 1); scope && *scope) (*scope)->leave();
  return 0;
}
int is_inference_mode_enabled(lua_State* L) { return lua_pushboolean(L, c10::InferenceMode::is_enabled()), 1; }

}  // namespace

void set_requires_grad(const at::Tensor& tensor, bool on) {
  if (!on && !tensor.is_leaf())
    throw_usage("you can only change requires_grad flags of leaf variables.",
                "a computed tensor is taken out of the graph with x:detach()");
  tensor.set_requires_grad(on);
}

void set_grad(at::Tensor& tensor, const at::Tensor& grad) {
  if (grad.sizes() != tensor.sizes())
    throw Error(ErrorKind::shape, "assigned grad has data of a different size than its tensor");
  if (grad.scalar_type() != tensor.scalar_type())
    throw Error(ErrorKind::dtype, "assigned grad has data of a different type than its tensor");
  if (grad.device() != tensor.device())
    throw Error(ErrorKind::device, "assigned grad has data located on a different device than its tensor");
  tensor.mutable_grad() = grad;
}

void set_autograd_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"backward", guarded<tensor_backward>,
       "Accumulates the gradients of this tensor in the leaves it was made from.\n@param gradient? Tensor needed "
       "unless it has one element\n@param retain_graph? boolean create_graph\n@param create_graph? boolean "
       "false\n@param inputs? Tensor[] only these leaves"},
      {"requires_grad_", guarded<tensor_requires_grad_>,
       "Records operations on this leaf from now on.\n@param requires_grad? boolean true\n@return Tensor self"},
      {"retain_grad", guarded<tensor_retain_grad>, "Keeps .grad of a tensor that is no leaf."},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

void set_autograd_functions(lua_State* L) {
  static constexpr Row kScope[] = {{nullptr, nullptr, nullptr}};
  static constexpr Row kRows[] = {
      {"no_grad", guarded<no_grad>,
       "Runs fn(...) without recording, or, without arguments, switches recording off until the scope ends:\nlocal _ "
       "<close> = torch.no_grad()\nWithout <close> it stays switched off.\n@param fn? function\n@return any|scope"},
      {"enable_grad", guarded<enable_grad>,
       "As no_grad, but switches recording on.\n@param fn? function\n@return any|scope"},
      {"set_grad_enabled", guarded<set_grad_enabled>,
       "Switches recording: for good as a statement, or until `local _ <close> = torch.set_grad_enabled(false)` "
       "ends.\n@param mode boolean\n@return scope"},
      {"is_grad_enabled", guarded<is_grad_enabled>, "@return boolean"},
      {"inference_mode", guarded<inference_mode>,
       "As no_grad, and the results can never be recorded.\n@param fn? function\n@return any|scope"},
      {"is_inference_mode_enabled", guarded<is_inference_mode_enabled>, "@return boolean"},
      {"backward", guarded<backward>,
       "torch.autograd.backward.\n@param tensors Tensor|Tensor[]\n@param gradient? Tensor|Tensor[]\n@param "
       "retain_graph? boolean\n@param create_graph? boolean false\n@param inputs? Tensor[]"},
      {"grad", guarded<grad>,
       "torch.autograd.grad: the gradients of outputs with respect to inputs.\n@param outputs Tensor|Tensor[]\n@param "
       "inputs Tensor|Tensor[]\n@param grad_outputs? Tensor[]\n@param retain_graph? boolean create_graph\n@param "
       "create_graph? boolean false\n@param allow_unused? boolean false\n@return Tensor[]"},
      {nullptr, nullptr, nullptr}};
  define(L, Type<Scope>::id, Type<Scope>::name, &collect<Scope>, guarded<close_scope>, kScope, nullptr);
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
