// x.shape, x.grad ...: what a tensor answers and what can be assigned.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/imag.h>
#include <ATen/ops/real.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

#include "bindings/autograd.h"
#include "bindings/dtype.h"
#include "bindings/ops.h"
#include "bindings/tensor_type.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::bindings {
namespace {

// Each is f(L) with the tensor at 1.

int get_shape(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (tensor::is_uninitialized(tensor)) tensor::throw_no_shape();
  return push_sizes(L, tensor.sizes()), 1;
}
int get_dtype(lua_State* L) { return push_dtype(L, check_tensor(L, 1).scalar_type()), 1; }
int get_device(lua_State* L) { return push_device(L, check_tensor(L, 1).device()), 1; }
int get_layout(lua_State* L) { return push<at::Layout>(L, {check_tensor(L, 1).layout()}), 1; }
int get_ndim(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).dim()), 1; }
int get_itemsize(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).itemsize()), 1; }
int get_nbytes(lua_State* L) { return lua_pushinteger(L, static_cast<lua_Integer>(check_tensor(L, 1).nbytes())), 1; }
int get_requires_grad(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).requires_grad()), 1; }
int get_is_leaf(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_leaf()), 1; }
int get_is_cuda(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_cuda()), 1; }
int get_is_cpu(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_cpu()), 1; }
int get_is_sparse(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_sparse()), 1; }
int get_is_meta(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_meta()), 1; }
int get_is_quantized(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_quantized()), 1; }
int get_is_sparse_csr(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).layout() == at::kSparseCsr), 1; }
int get_is_nested(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_nested()), 1; }
int get_is_mkldnn(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_mkldnn()), 1; }
template <at::DeviceType type>
int get_is_on(lua_State* L) {
  return lua_pushboolean(L, check_tensor(L, 1).device().type() == type), 1;
}
int get_output_nr(lua_State* L) {
  return lua_pushinteger(L, static_cast<lua_Integer>(check_tensor(L, 1).output_nr())), 1;
}
int get_version(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  return lua_pushinteger(L, tensor.is_inference() ? 0 : tensor._version()), 1;
}
int get_name(lua_State* L) {
  const std::string& name = check_tensor(L, 1).name();
  if (name.empty()) lua_pushnil(L);
  else lua_pushlstring(L, name.data(), name.size());
  return 1;
}
int get_retains_grad(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).retains_grad()), 1; }
int get_grad_dtype(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (!tensor.is_leaf()) throw_usage("grad_dtype can only be accessed on leaf tensors.");
  if (const auto dtype = tensor.grad_dtype()) push_dtype(L, *dtype);
  else lua_pushnil(L);
  return 1;
}
int get_volatile(lua_State* L) { return lua_pushboolean(L, false), 1; }
int get_data(lua_State* L) { return push_view(L, check_tensor(L, 1).variable_data()), 1; }
int get_grad(lua_State* L) { return push_identity(L, check_tensor(L, 1).grad()), 1; }

// Of a view: the tensor that it is a view of, nil for others.
int get_base(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (tensor.is_view()) push_identity(L, at::Tensor(tensor._base()));
  else lua_pushnil(L);
  return 1;
}
int get_grad_fn(lua_State* L) { return push_grad_fn(L, 1), 1; }

template <const char* name>
int get_operator(lua_State* L) {
  push_operator(L, name, Form::method);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}
constexpr char kT[] = "numpy_T", kMT[] = "mT", kH[] = "matrix_H", kMH[] = "mH", kReal[] = "real", kImag[] = "imag";

constexpr Row kAttributes[] = {
    {"shape", guarded<get_shape>, "The sizes, 1-based: x.shape[1] == x:size(0).\n@type integer[]"},
    {"dtype", guarded<get_dtype>, "@type dtype"},
    {"device", guarded<get_device>, "@type device"},
    {"layout", guarded<get_layout>, "@type layout"},
    {"ndim", guarded<get_ndim>, "How many dimensions.\n@type integer"},
    {"itemsize", guarded<get_itemsize>, "Bytes of one element.\n@type integer"},
    {"nbytes", guarded<get_nbytes>, "Bytes of all elements.\n@type integer"},
    {"requires_grad", guarded<get_requires_grad>, "Assignable on leaves.\n@type boolean"},
    {"is_leaf", guarded<get_is_leaf>, "@type boolean"},
    {"is_cuda", guarded<get_is_cuda>, "@type boolean"},
    {"is_cpu", guarded<get_is_cpu>, "@type boolean"},
    {"is_sparse", guarded<get_is_sparse>, "@type boolean"},
    {"is_meta", guarded<get_is_meta>, "@type boolean"},
    {"is_quantized", guarded<get_is_quantized>, "@type boolean"},
    {"is_sparse_csr", guarded<get_is_sparse_csr>, "@type boolean"},
    {"is_nested", guarded<get_is_nested>, "@type boolean"},
    {"is_mkldnn", guarded<get_is_mkldnn>, "@type boolean"},
    {"is_xpu", guarded<get_is_on<at::kXPU>>, "@type boolean"},
    {"is_ipu", guarded<get_is_on<at::kIPU>>, "@type boolean"},
    {"is_mps", guarded<get_is_on<at::kMPS>>, "@type boolean"},
    {"is_mtia", guarded<get_is_on<at::kMTIA>>, "@type boolean"},
    {"is_maia", guarded<get_is_on<at::kMAIA>>, "@type boolean"},
    {"is_vulkan", guarded<get_is_on<at::kVulkan>>, "@type boolean"},
    {"is_xla", guarded<get_is_on<at::kXLA>>, "@type boolean"},
    {"output_nr", guarded<get_output_nr>, "Which output of grad_fn it is.\n@type integer"},
    {"_version", guarded<get_version>, "How often it was changed in place.\n@type integer"},
    {"name", guarded<get_name>, "@type string?"},
    {"retains_grad", guarded<get_retains_grad>, "@type boolean"},
    {"grad_dtype", guarded<get_grad_dtype>,
     "The dtype that its gradient must have; nil: any. Of a leaf.\n@type dtype?"},
    {"volatile", guarded<get_volatile>, "Always false: no_grad stands for it.\n@type boolean"},
    {"data", guarded<get_data>, "The same memory without history.\n@type Tensor"},
    {"grad", guarded<get_grad>, "The accumulated gradient, or nil; assignable.\n@type Tensor?"},
    {"_base", guarded<get_base>, "The tensor that this one is a view of; nil if it is none.\n@type Tensor?"},
    {"grad_fn", guarded<get_grad_fn>,
     "The node that made it, printed as <AddBackward0>; nil for a leaf. What it saved (`_saved_self` and the like in "
     "Python) LibTorch's nodes do not tell by name: torch.autograd.graph.saved_tensors_hooks sees each tensor when it "
     "is "
     "saved.\n@type Node?"},
    {"T", guarded<get_operator<kT>>, "All dimensions reversed.\n@type Tensor"},
    {"mT", guarded<get_operator<kMT>>, "The last two dimensions swapped.\n@type Tensor"},
    {"H", guarded<get_operator<kH>>, "A matrix, transposed and conjugated.\n@type Tensor"},
    {"mH", guarded<get_operator<kMH>>, "The last two dimensions swapped and conjugated.\n@type Tensor"},
    {"real", guarded<get_operator<kReal>>, "@type Tensor"},
    {"imag", guarded<get_operator<kImag>>, "@type Tensor"},
    {nullptr, nullptr, nullptr}};

}  // namespace

void set_attributes(lua_State* L) { set_functions(L, kAttributes); }

void assign_attribute(lua_State* L, const char* name) {
  at::Tensor& tensor = check_tensor(L, 1);
  if (std::strcmp(name, "requires_grad") == 0) {
    if (!lua_isboolean(L, 3)) throw_argument(L, "Tensor.requires_grad", "value", "a boolean", 3);
    set_requires_grad(tensor, lua_toboolean(L, 3), /*assigned=*/true);
  } else if (std::strcmp(name, "grad") == 0) {
    if (lua_isnil(L, 3)) tensor.mutable_grad().reset();
    else if (!test<at::Tensor>(L, 3))
      throw_usage("assigned grad expected to be a Tensor or None but got grad of type " + describe(L, 3));
    else set_grad(tensor, check_tensor(L, 3));
  } else if (std::strcmp(name, "data") == 0) {
    tensor.set_data(check_tensor(L, 3));
  } else if (std::strcmp(name, "real") == 0 || std::strcmp(name, "imag") == 0) {
    const at::Tensor part = *name == 'r' ? at::real(tensor) : at::imag(tensor);
    part.copy_(check_tensor(L, 3));
  } else if (std::strcmp(name, "True") == 0 || std::strcmp(name, "False") == 0 || std::strcmp(name, "None") == 0) {
    throw_usage(std::string("cannot assign the field '") + name + "' of a Tensor",
                std::string("an index that is one word ends with a comma: x[\"") + name + ",\"] = value");
  } else {
    throw_usage(std::string("cannot assign the field '") + name + "' of a Tensor",
                "requires_grad, grad, data, real and imag can be assigned, and elements by index: x[0] = 1");
  }
}

}  // namespace trainhost::bindings
