// native.autograd: backward and grad, and what a Tensor has of them.
#include "bindings/autograd.h"

#include <ATen/FuncTorchTLS.h>
#include <torch/csrc/autograd/variable.h>

#include <limits>

#include "bindings/indexing.h"
#include "bindings/keywords.h"
#include "bindings/reference.h"
#include "host/autograd/backward.h"

namespace trainhost::bindings {
namespace {

using autograd::BackwardRequest;

bool flag(lua_State* L, const Keywords& keywords, const char* name, const char* function, bool otherwise) {
  const int index = keywords.find(name);
  return index ? check_boolean(L, index, function, name) : otherwise;
}

// Is the value at `index` a GradientEdge, {node =, output_nr =}?
bool read_edge(lua_State* L, int index, autograd::End& end) {
  if (!lua_istable(L, index) || luaL_getmetafield(L, index, "__name") == LUA_TNIL) return false;
  const char* name = lua_tostring(L, -1);
  const bool is_edge = name && std::string_view(name) == "GradientEdge";
  lua_pop(L, 1);
  if (!is_edge) return false;
  lua_getfield(L, index, "node");
  lua_getfield(L, index, "output_nr");
  const int top = lua_gettop(L);
  const autograd::NodePtr& node = check<torch::autograd::Node>(L, top - 1);
  const lua_Integer output_nr = check_integer(L, top, "GradientEdge", "output_nr");
  if (output_nr < 0 || output_nr > std::numeric_limits<uint32_t>::max())
    throw_argument(L, "GradientEdge", "output_nr", "the number of an output, from 0 on", top);
  end = autograd::End(node, static_cast<uint32_t>(output_nr));
  lua_pop(L, 2);
  return true;
}

// A tensor or a GradientEdge, or a list of them.
std::vector<autograd::End> check_ends(lua_State* L, int index, const char* function, const char* name) {
  std::vector<autograd::End> ends(1);
  if (read_edge(L, index, ends[0])) return ends;
  if (const at::Tensor* tensor = test_tensor(L, index)) return ends[0].tensor = *tensor, ends;
  if (!lua_istable(L, index)) throw_argument(L, function, name, "a Tensor or a GradientEdge, or a list of them", index);
  ends.resize(lua_rawlen(L, index));
  for (size_t i = 0; i < ends.size(); ++i) {
    lua_rawgeti(L, index, static_cast<lua_Integer>(i + 1));
    if (const at::Tensor* tensor = test_tensor(L, -1)) ends[i].tensor = *tensor;
    else if (!read_edge(L, lua_gettop(L), ends[i]) && !lua_isnil(L, -1) && !is_none(L, lua_gettop(L)))
      throw_argument(L, function, (std::string(name) + "[" + std::to_string(i + 1) + "]").c_str(),
                     "a Tensor or a GradientEdge", lua_gettop(L));
    lua_pop(L, 1);
  }
  return ends;
}

// A table {name = Tensor}: the names in `names`, the tensors pushed on `ends`. False for any other value.
bool read_named(lua_State* L, int index, std::vector<std::string>& names, std::vector<autograd::End>& ends) {
  if (!lua_istable(L, index) || lua_rawlen(L, index) > 0) return false;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const at::Tensor* tensor = test_tensor(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING || !tensor) {
      lua_pop(L, 2);
      return false;
    }
    names.emplace_back(lua_tostring(L, -2));
    ends.push_back({*tensor});
  }
  return !names.empty();
}

void read_inputs(lua_State* L, int index, const char* function, std::vector<std::string>& names,
                 BackwardRequest& request) {
  if (read_named(L, index, names, request.inputs)) return;
  request.inputs = check_ends(L, index, function, "inputs");
  if (request.inputs.empty())
    throw_usage(std::string("`inputs` argument to `") + (request.accumulate ? "backward" : "grad") +
                "()` cannot be empty.");
}

void accumulate(lua_State* L, BackwardRequest request, const Keywords& keywords, const char* gradient,
                const char* function) {
  request.accumulate = request.allow_unused = true;
  request.on_this_thread = Reference::count() > 0;
  if (int i = keywords.find(gradient)) request.grad_outputs = check_tensor_list(L, i, function, gradient);
  request.create_graph = flag(L, keywords, "create_graph", function, false);
  request.retain_graph = flag(L, keywords, "retain_graph", function, request.create_graph);
  std::vector<std::string> names;
  if (int i = keywords.find("inputs")) read_inputs(L, i, function, names, request);
  autograd::run_backward(std::move(request));
}

int tensor_backward(lua_State* L) {
  constexpr const char* kName = "Tensor.backward";
  BackwardRequest request;
  request.outputs.push_back({check_tensor(L, 1)});
  accumulate(L, std::move(request), Keywords(L, kName, 2, {"gradient", "retain_graph", "create_graph", "inputs"}),
             "gradient", kName);
  return 0;
}

// Is the value at `index` a table of keywords, with that one among them?
bool gives(lua_State* L, int index, const char* keyword) {
  if (!lua_istable(L, index)) return false;
  const bool given = lua_getfield(L, index, keyword) != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

int backward(lua_State* L) {
  constexpr const char* kName = "torch.autograd.backward";
  BackwardRequest request;
  const Keywords keywords(L, kName, 1, {"tensors", "grad_tensors", "retain_graph", "create_graph", "inputs"});
  const int tensors = keywords.find("tensors");
  request.outputs = check_ends(L, tensors ? tensors : 1, kName, "tensors");
  accumulate(L, std::move(request), keywords, "grad_tensors", kName);
  return 0;
}

int check_edge(lua_State* L) {
  autograd::End end;
  read_edge(L, 1, end);
  return lua_settop(L, 1), 1;
}

int grad(lua_State* L) {
  constexpr const char* kName = "torch.autograd.grad";
  BackwardRequest request;
  std::vector<std::string> names;
  // A table of tensors by name in the place of `inputs` is no table of keywords.
  const bool named = gives(L, 1, "outputs") || gives(L, 2, "inputs");
  const Keywords keywords = named ? Keywords(L, kName, 1,
                                             {"outputs", "inputs", "grad_outputs", "retain_graph", "create_graph",
                                              "only_inputs", "allow_unused", "is_grads_batched", "materialize_grads"})
                                  : Keywords(L, kName, 3,
                                             {"grad_outputs", "retain_graph", "create_graph", "only_inputs",
                                              "allow_unused", "is_grads_batched", "materialize_grads"});
  const int outputs = named ? keywords.find("outputs") : 1, inputs = named ? keywords.find("inputs") : 2;
  if (outputs == 0) throw_usage(std::string(kName) + ": argument 'outputs' is missing");
  if (inputs == 0) throw_usage(std::string(kName) + ": argument 'inputs' is missing");
  request.outputs = check_ends(L, outputs, kName, "outputs");
  read_inputs(L, inputs, kName, names, request);
  if (int i = keywords.find("grad_outputs")) request.grad_outputs = check_tensor_list(L, i, kName, "grad_outputs");
  request.create_graph = flag(L, keywords, "create_graph", kName, false);
  request.retain_graph = flag(L, keywords, "retain_graph", kName, request.create_graph);
  request.grads_batched = flag(L, keywords, "is_grads_batched", kName, false);
  request.materialize_grads = flag(L, keywords, "materialize_grads", kName, false);
  request.allow_unused = flag(L, keywords, "allow_unused", kName, request.materialize_grads);
  if (request.materialize_grads && !request.allow_unused)
    throw_usage(
        "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False.");
  request.on_this_thread = Reference::count() > 0;
  auto grads = autograd::run_backward(std::move(request));
  lua_createtable(L, names.empty() ? static_cast<int>(grads.size()) : 0, static_cast<int>(names.size()));
  for (size_t i = 0; i < grads.size(); ++i) {
    push_tensor(L, grads[i]);
    if (names.empty()) lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
    else lua_setfield(L, -2, names[i].c_str());
  }
  return 1;
}

int tensor_requires_grad_(lua_State* L) {
  spread_keywords(L, "Tensor.requires_grad_", 2, {"requires_grad"});
  const bool requires_grad = lua_isnoneornil(L, 2) || check_boolean(L, 2, "Tensor.requires_grad_", "requires_grad");
  set_requires_grad(check_tensor(L, 1), requires_grad);
  lua_settop(L, 1);
  return 1;
}

int tensor_retain_grad(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (!tensor.requires_grad()) throw_usage("can't retain_grad on Tensor that has requires_grad=False");
  tensor.retain_grad();
  return 0;
}

}  // namespace

std::vector<at::Tensor> check_tensor_list(lua_State* L, int index, const char* function, const char* name) {
  if (const at::Tensor* tensor = test_tensor(L, index)) return {*tensor};
  if (!lua_istable(L, index)) throw_argument(L, function, name, "a Tensor or a list of Tensors", index);
  std::vector<at::Tensor> tensors;
  const lua_Integer size = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    const at::Tensor* tensor = test_tensor(L, -1);
    if (!tensor && !lua_isnil(L, -1) && !is_none(L, lua_gettop(L)))
      throw_argument(L, function, (std::string(name) + "[" + std::to_string(i) + "]").c_str(), "a Tensor",
                     lua_gettop(L));
    tensors.push_back(tensor ? *tensor : at::Tensor());
    lua_pop(L, 1);
  }
  return tensors;
}

void refuse_integers(const at::Tensor& tensor, const char* types) {
  if (!tensor.is_floating_point() && !tensor.is_complex())
    throw Error(ErrorKind::dtype, std::string("only Tensors of ") + types + " dtype can require gradients");
}

void set_requires_grad(const at::Tensor& tensor, bool on, bool assigned) {
  if (const auto& transforms = at::functorch::functorchTLSAccessor()) transforms->checkSupportsInplaceRequiresGrad();
  if ((!on || assigned) && !tensor.is_leaf())
    throw_usage(std::string("you can only change requires_grad flags of leaf variables.") +
                (on ? ""
                    : " If you want to use a computed variable in a subgraph that doesn't require differentiation use "
                      "var_no_grad = var.detach()."));
  if (on) refuse_integers(tensor, assigned ? "floating point and complex" : "floating point");
  tensor.set_requires_grad(on);
}

void set_grad(at::Tensor& tensor, const at::Tensor& grad) {
  if (grad.sizes() != tensor.sizes())
    throw Error(ErrorKind::shape,
                c10::str("attempting to assign a gradient of size '", grad.sizes(), "' to a tensor of size '",
                         tensor.sizes(), "'. Please ensure that the gradient and the tensor are the same size"));
  const auto dtype = tensor.is_leaf() ? tensor.grad_dtype() : std::optional(tensor.scalar_type());
  if (dtype && grad.scalar_type() != *dtype)
    throw Error(
        ErrorKind::dtype,
        c10::str("attempting to assign a gradient with dtype '", grad.dtype(), "' to a tensor with grad_dtype '",
                 *dtype, "'. The gradient must match the tensor's grad_dtype (the tensor's dtype by default)"));
  if (grad.device() != tensor.device())
    throw Error(ErrorKind::device, "assigned grad has data located on a different device than its tensor");
  tensor.mutable_grad() = grad;
}

void set_autograd_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"backward", guarded<tensor_backward>,
       "Accumulates the gradients of this tensor in the leaves it was made from.\n@param gradient? Tensor needed "
       "unless it has one element\n@param retain_graph? boolean create_graph\n@param create_graph? boolean "
       "false\n@param inputs? Tensor|Tensor[]|table<string, Tensor>|GradientEdge[] only these\n@example local x = "
       "torch.tensor({3.}, {requires_grad = true})\ntorch.sum(x * x):backward()\nx.grad  --> tensor([6.])"},
      {"requires_grad_", guarded<tensor_requires_grad_>,
       "Records operations on this leaf from now on.\n@param requires_grad? boolean true\n@return Tensor "
       "self\n@example torch.ones(2):requires_grad_().requires_grad  --> true"},
      {"retain_grad", guarded<tensor_retain_grad>,
       "Keeps .grad of a tensor that is no leaf."
       "\n@example local x = torch.ones(1, {requires_grad = true})\nlocal y = 2 * "
       "x\ny:retain_grad()\ny:sum():backward()\ny.grad  --> tensor([1.])"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
  set_hook_methods(L);
}

void set_backward(lua_State* L) {
  static constexpr Row kRows[] = {
      {"backward", guarded<backward>,
       "Accumulates gradients in the leaves that the tensors were made from.\n@param tensors "
       "Tensor|GradientEdge|(Tensor|GradientEdge)[]\n@param grad_tensors? Tensor|Tensor[] needed for those with more "
       "than one element\n@param "
       "retain_graph? boolean create_graph\n@param create_graph? boolean false\n@param inputs? "
       "Tensor|GradientEdge|(Tensor|GradientEdge)[]|table<string, Tensor> only these\n@example local x = torch.ones(2, "
       "{requires_grad = true})\ntorch.autograd.backward({x:sum(), (2 * "
       "x):sum()})\nx.grad  --> tensor([3., 3.])"},
      {"grad", guarded<grad>,
       "The gradients of outputs with respect to inputs, which are not accumulated in .grad.\n@param outputs "
       "Tensor|GradientEdge|(Tensor|GradientEdge)[]\n@param inputs "
       "Tensor|GradientEdge|(Tensor|GradientEdge)[]|table<string, Tensor>\n@param grad_outputs? "
       "Tensor|Tensor[]\n@param retain_graph? boolean create_graph\n@param create_graph? boolean false\n@param "
       "only_inputs? boolean ignored\n@param allow_unused? boolean materialize_grads; an unused input's gradient is "
       "nil then\n@param is_grads_batched? boolean false; dimension 0 of grad_outputs is mapped over\n@param "
       "materialize_grads? boolean false; zeros for unused inputs\n@return Tensor[] with the keys of "
       "`inputs`\n@example local x = torch.tensor({3.}, {requires_grad = true})\ntorch.autograd.grad(x ^ 2, x)[1]  --> "
       "tensor([6.])"},
      {"check_edge", guarded<check_edge>,
       "Raises where a field of a GradientEdge cannot be one.\n@param edge GradientEdge\n@return GradientEdge"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

int open_autograd(lua_State* L) {
  open_references(L);
  lua_newtable(L);
  set_modes(L);
  set_backward(L);
  set_nodes(L);
  set_hooks(L);
  set_saved_hooks(L);
  set_function(L);
  set_transforms(L);
  return 1;
}

}  // namespace trainhost::bindings
