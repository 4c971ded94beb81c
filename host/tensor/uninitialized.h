// Tensors whose shape is not known yet: what lazily initialized layers hold.
#pragma once

#include <ATen/core/Tensor.h>

namespace trainhost::tensor {

bool is_uninitialized(const at::Tensor& tensor) noexcept;

// Makes the tensor such a one of its dtype and device. Operators refuse it, but for conversions and copies into it,
// until `set_data` gives it the memory of another tensor.
void set_uninitialized(const at::Tensor& tensor);

// PyTorch's error for what is not known yet: the shape.
[[noreturn]] void throw_no_shape();

}  // namespace trainhost::tensor
