// Tensors that are changed in place after they were saved for a backward: a copy is made before.
#pragma once

#include <memory>

namespace torch::autograd {
struct SavedVariableHooks;
}

namespace trainhost::autograd {

// Of torch.autograd.graph.allow_mutation_on_saved_tensors, entered and left on one thread; one at a time.
class Mutations {
 public:
  // From now on, on this thread. Throws PyTorch's error where one is entered already.
  static std::shared_ptr<Mutations> enter();
  // What was saved meanwhile can no longer be read.
  void leave() noexcept;
  ~Mutations();

  // For one saved tensor.
  static std::unique_ptr<torch::autograd::SavedVariableHooks> hooks(const std::shared_ptr<Mutations>& mutations);

  struct State;

 private:
  explicit Mutations(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace trainhost::autograd
