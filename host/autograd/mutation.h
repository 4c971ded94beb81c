// Tensors that are changed in place after they were saved for a backward: a copy is made before.
#pragma once

#include <memory>

namespace torch::autograd {
struct SavedVariableHooks;
}

namespace trainhost::autograd {

// torch.autograd.graph.allow_mutation_on_saved_tensors while it lives, on the thread that made it; one at a time.
class Mutations {
 public:
  Mutations();   // throws PyTorch's error where there is one already
  ~Mutations();  // what was saved meanwhile can no longer be read

  // For one saved tensor.
  std::unique_ptr<torch::autograd::SavedVariableHooks> hooks() const;

  struct State;

 private:
  class Watch;
  std::shared_ptr<State> state_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace trainhost::autograd
