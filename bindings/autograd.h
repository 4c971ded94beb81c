// Gradients and gradient modes from Lua.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "bindings/tensor.h"

namespace trainhost::bindings {

// Something entered that `<close>` leaves: a gradient mode, say. One that is forgotten stays entered: left by the
// collector it would change the mode in the middle of other code.
class Scope {
 public:
  explicit Scope(std::function<void()> leave) : leave_(std::move(leave)) {}
  void leave() {
    if (auto leave = std::exchange(leave_, nullptr)) leave();
  }

 private:
  std::function<void()> leave_;
};

template <>
struct Type<Scope> {
  using Handle = std::shared_ptr<Scope>;
  static constexpr TypeId id = TypeId::scope;
  static constexpr const char* name = "scope";
  static constexpr int user_values = 0;
};

// tensor.requires_grad = on, with PyTorch's error for a tensor that is no leaf.
void set_requires_grad(const at::Tensor& tensor, bool on);
// tensor.grad = grad, with PyTorch's checks of shape, dtype and device.
void set_grad(at::Tensor& tensor, const at::Tensor& grad);
// Set backward, requires_grad_ ... in the methods table on top of the stack.
void set_autograd_methods(lua_State* L);
// Set no_grad, grad ... in the module table on top of the stack.
void set_autograd_functions(lua_State* L);

}  // namespace trainhost::bindings
