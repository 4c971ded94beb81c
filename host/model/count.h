// Counting whole numbers in a tensor on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace trainhost::model {

// How many values of a dense int64 tensor on the CPU are `value`; none for tensors of another kind.
std::optional<int64_t> count_equal(const at::Tensor& tensor, int64_t value);

// The number in a dense tensor of one element on the CPU; none for tensors of another kind, and of rare types.
std::optional<double> number_on_host(const at::Tensor& tensor);

}  // namespace trainhost::model
