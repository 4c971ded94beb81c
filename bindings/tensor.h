// Tensors as Lua values: what every other binding needs of them.
#pragma once

#include <ATen/core/Tensor.h>

#include "bindings/object.h"

namespace trainhost::bindings {

// at::Tensor tests by defined(); the userdata also remembers whether PyTorch would call it a Parameter.
struct TensorHandle {
  at::Tensor tensor;
  bool parameter = false;
  unsigned depth = 0;  // of the scope that `link` is in
  size_t charged = 0;  // to the collector, given back with the handle
  vm::ScopeLink link;  // among what a torch.scope lets go
  explicit operator bool() const noexcept { return tensor.defined(); }
  void enter(vm::ScopeList& scope) noexcept {
    link.enter(scope);
    depth = scope.depth;
  }
};

template <>
struct Type<at::Tensor> {
  using Handle = TensorHandle;
  static constexpr TypeId id = TypeId::tensor;
  static constexpr const char* name = "Tensor";
  static constexpr int user_values = 0;
};

// Pushes a new userdata and charges its storage to the collector if it is new memory; nil if undefined.
// A collection may run: call it when the operator is done, with everything live on the stack or in C++.
void push_tensor(lua_State* L, at::Tensor tensor);
// The same for a tensor that shares memory with another: charges only the handle.
void push_view(lua_State* L, at::Tensor tensor);
// The same userdata for the same TensorImpl for as long as Lua holds it: for parameters, buffers, leaves and
// `.grad` (a weak map). `parameter` marks it as nn.Parameter.
void push_identity(lua_State* L, const at::Tensor& tensor, bool parameter = false);
// Lets go of the handle's tensor now, if nothing but so many handles hold it; else false.
bool release_if_sole(lua_State* L, TensorHandle& handle, size_t handles = 1);
// The tensor at `index`, or null if it is none (or freed).
at::Tensor* test_tensor(lua_State* L, int index) noexcept;
// The tensor at `index`; usage error otherwise.
at::Tensor& check_tensor(lua_State* L, int index);
// Is the tensor at `index` an nn.Parameter?
bool is_parameter(lua_State* L, int index) noexcept;

// The scalar type, device ... at `index`. Devices also from strings ("cuda:0"). Usage error otherwise.
at::ScalarType check_dtype(lua_State* L, int index);
at::Device check_device(lua_State* L, int index);
void push_dtype(lua_State* L, at::ScalarType type);
// Pushes a torch.Size: a read-only 1-based list.
void push_sizes(lua_State* L, at::IntArrayRef sizes);
// "float32", as PyTorch names it.
const char* dtype_name(at::ScalarType type) noexcept;
void push_device(lua_State* L, at::Device device);

}  // namespace trainhost::bindings
