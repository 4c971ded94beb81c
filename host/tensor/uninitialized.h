// Tensors whose shape is not known yet: what lazily initialized layers hold.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace trainhost::tensor {

bool is_uninitialized(const at::Tensor& tensor) noexcept;

// Makes the tensor such a one of its dtype and device. Operators refuse it, but for conversions and copies into it,
// until `set_data` gives it the memory of another tensor.
void set_uninitialized(const at::Tensor& tensor);

// PyTorch's error of a function ("<method 'dim' of 'torch._C.TensorBase' objects>") that does not take such a tensor.
[[noreturn]] void throw_uninitialized(const std::string& function, bool parameter);
// PyTorch's error for what is not known yet: the shape.
[[noreturn]] void throw_no_shape();

}  // namespace trainhost::tensor
