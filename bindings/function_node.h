// The node of a torch.autograd.Function, whose backward calls Lua.
#pragma once

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "bindings/autograd_function.h"
#include "bindings/reference.h"

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

// Pushes what the class of the ctx on top of the stack has under `name`; returns its type.
int push_from_class(lua_State* L, const char* name);

}  // namespace trainhost::bindings
