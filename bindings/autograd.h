// Gradients and gradient modes from Lua.
#pragma once

#include <functional>
#include <memory>

#include "bindings/tensor.h"

namespace trainhost::bindings {

// Something entered that is left by `<close>`: a gradient mode, say. Left by the collector if it was forgotten.
class Scope {
 public:
  explicit Scope(std::function<void()> leave) : leave_(std::move(leave)) {}
  ~Scope() { leave_(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

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

// tensor.grad = grad, with PyTorch's checks of shape, dtype and device.
void set_grad(at::Tensor& tensor, const at::Tensor& grad);
// Set backward, detach_, requires_grad_ ... in the methods table on top of the stack.
void set_autograd_methods(lua_State* L);
// Set no_grad, grad, manual_seed ... in the module table on top of the stack.
void set_autograd_functions(lua_State* L);

}  // namespace trainhost::bindings
