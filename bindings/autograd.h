// Gradients from Lua: the types that the files autograd*.cpp share, and what other bindings need of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/tensor.h"
#include "host/autograd/node.h"

namespace trainhost::bindings {

// Something entered that `<close>` leaves: a gradient mode, say. One that is forgotten stays entered: left by the
// collector it would change the mode in the middle of other code.
class Scope {
 public:
  // Calls the function at index 1 with what stands above it under the mode, and leaves the results.
  using Call = std::function<int(lua_State*)>;

  explicit Scope(std::function<void()> leave, Call call = nullptr) : leave_(std::move(leave)), call_(std::move(call)) {}
  void leave() {
    if (auto leave = std::exchange(leave_, nullptr)) leave();
  }
  const Call& call() const noexcept { return call_; }

 private:
  std::function<void()> leave_;
  Call call_;
};

template <>
struct Type<Scope> {
  using Handle = std::shared_ptr<Scope>;
  static constexpr TypeId id = TypeId::scope;
  static constexpr const char* name = "scope";
  static constexpr int user_values = 0;
};

// A hook that was registered: handle:remove(), or `<close>`.
struct RemovableHandle : Scope {
  using Scope::Scope;
};

template <>
struct Type<RemovableHandle> {
  using Handle = std::shared_ptr<RemovableHandle>;
  static constexpr TypeId id = TypeId::handle;
  static constexpr const char* name = "RemovableHandle";
  static constexpr int user_values = 0;
};

template <>
struct Type<torch::autograd::Node> {
  using Handle = autograd::NodePtr;
  static constexpr TypeId id = TypeId::node;
  static constexpr const char* name = "Node";
  static constexpr int user_values = 0;
};

// Pushes a node, always the same value: nil for null.
void push_node(lua_State* L, const autograd::NodePtr& node);
// Pushes grad_fn of the Tensor at `tensor`, and remembers that it is its node.
void push_grad_fn(lua_State* L, int tensor);
// Pushes a Tensor whose grad_fn the node at `index` is, if a script has read it there; else nil.
void push_output(lua_State* L, int index);
// A tensor, or a list of them where nil or torch.None stands for an undefined one.
std::vector<at::Tensor> check_tensor_list(lua_State* L, int index, const char* function, const char* name);

// tensor.requires_grad = on, with PyTorch's error for a tensor that is no leaf.
void set_requires_grad(const at::Tensor& tensor, bool on);
// tensor.grad = grad, with PyTorch's checks of shape, dtype and device.
void set_grad(at::Tensor& tensor, const at::Tensor& grad);
// Sets backward, requires_grad_, register_hook ... in the methods table on top of the stack.
void set_autograd_methods(lua_State* L);

// The parts of native.autograd, each set in the module table on top of the stack.
void set_modes(lua_State* L);
void set_backward(lua_State* L);
void set_nodes(lua_State* L);
void set_hooks(lua_State* L);
void set_hook_methods(lua_State* L);       // of Tensor
void set_node_hook_methods(lua_State* L);  // of Node
void set_saved_hooks(lua_State* L);
void set_function(lua_State* L);
void set_transforms(lua_State* L);

}  // namespace trainhost::bindings
