// The engine's run from tensors to gradients, with the checks and errors of torch.autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "host/autograd/node.h"

namespace trainhost::autograd {

// What is differentiated, or by what: a tensor, or the place in the graph that get_gradient_edge names.
struct End {
  struct Place;
  End() = default;
  End(at::Tensor t) : tensor(std::move(t)) {}
  End(const NodePtr& node, uint32_t output_nr);
  at::Tensor tensor;
  std::shared_ptr<const Place> place;  // where there is no tensor
};

struct BackwardRequest {
  std::vector<End> outputs;
  std::vector<at::Tensor> grad_outputs;  // undefined: ones for a scalar; empty: all undefined
  std::vector<End> inputs;               // empty: every leaf (accumulate only)
  bool retain_graph = false;
  bool create_graph = false;
  bool accumulate = false;         // in .grad, and not returned
  bool allow_unused = false;       // an input without a path to the outputs is undefined, and no error
  bool grads_batched = false;      // dimension 0 of grad_outputs is mapped over
  bool materialize_grads = false;  // undefined ones become zeros
  bool on_this_thread = false;     // every device's nodes: what they call belongs to this thread
};

// The gradients of the inputs, in their order; none if they are accumulated.
std::vector<at::Tensor> run_backward(BackwardRequest request);

// Whether a backward runs each device's nodes on a thread of its own, as it says while it lives; of this thread.
class Multithreading {
 public:
  explicit Multithreading(bool on) noexcept;
  ~Multithreading();
  Multithreading(const Multithreading&) = delete;
  Multithreading& operator=(const Multithreading&) = delete;
  static bool is_enabled() noexcept;
  static void set_enabled(bool on) noexcept;

 private:
  const bool before_;
};

}  // namespace trainhost::autograd
