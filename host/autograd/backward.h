// The engine's run from tensors to gradients, with the checks and errors of torch.autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace trainhost::autograd {

struct BackwardRequest {
  std::vector<at::Tensor> outputs;
  std::vector<at::Tensor> grad_outputs;  // undefined: ones for a scalar; empty: all undefined
  std::vector<at::Tensor> inputs;        // empty: every leaf (accumulate only)
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

}  // namespace trainhost::autograd
