// Tensors as text, character by character what Python's repr(tensor) gives.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace trainhost::tensor {

// torch.set_printoptions. `threshold` is the number of elements above which a tensor is summarised
// (infinity: never), `edgeitems` how many stay at each end of a dimension then, `linewidth` in characters;
// `sci_mode` unset lets the values decide.
struct PrintOptions {
  int precision = 4;
  double threshold = 1000;
  int edgeitems = 3;
  int linewidth = 80;
  std::optional<bool> sci_mode;
};

// `parameter`: as nn.Parameter prints, with "Parameter containing:" on a line of its own before.
// Copies the elements that are shown to the CPU. Source: torch/_tensor_str.py.
std::string to_string(const at::Tensor& tensor, bool parameter = false, const PrintOptions& options = {});

}  // namespace trainhost::tensor
