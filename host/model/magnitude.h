// How large tensors are, read on the host: norms, and whether all values are finite.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace trainhost::model {

// Those on the CPU are read at once, in one pass; those of a device together, with one wait. Undefined tensors have
// none. Float sums keep about six digits.

// The 2-norm of each tensor; NaN and infinity where the values have them.
std::vector<std::optional<double>> norms(const std::vector<at::Tensor>& tensors);
// The 2-norm of each tensor less its partner in `others`, of the same shape.
std::vector<std::optional<double>> distances(const std::vector<at::Tensor>& tensors,
                                             const std::vector<at::Tensor>& others);
// The index of the first tensor, from `begin` on, with a value that is NaN or infinite.
std::optional<size_t> first_not_finite(const std::vector<at::Tensor>& tensors, size_t begin);

}  // namespace trainhost::model
