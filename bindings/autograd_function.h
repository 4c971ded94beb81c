// ctx of torch.autograd.Function: a node of the graph whose backward is a Lua function, as the script sees it.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/autograd.h"

namespace trainhost::bindings {

class FunctionNode;

// What a ctx and its node share. The node holds the ctx (a userdata with the script's own fields), and not the other
// way round, which would be a cycle.
struct FunctionContext {
  FunctionNode* node = nullptr;  // null when the node is gone
  std::string name;
  std::vector<bool> is_tensor;  // of the arguments of forward
  std::vector<at::Tensor> to_save, to_save_forward, dirty, non_differentiable;
  bool materialize_grads = true;
};

template <>
struct Type<FunctionContext> {
  using Handle = std::shared_ptr<FunctionContext>;
  static constexpr TypeId id = TypeId::context;
  static constexpr const char* name = "FunctionCtx";
  static constexpr int user_values = 2;  // the script's fields (nil before the first), the class
};

// The tensors that forward saved. Throws PyTorch's error if they were freed.
std::vector<at::Tensor> saved_tensors(FunctionNode& node);
// Which arguments need a gradient: in a backward, of that one.
std::vector<bool> needs_input_grad(const FunctionNode& node);
// Pushes the ctx of a Function's node; false, and nothing pushed, for any other node.
bool push_context(lua_State* L, torch::autograd::Node* node);
// Defines the type.
void set_context(lua_State* L);

}  // namespace trainhost::bindings
