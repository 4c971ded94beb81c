// Tensors inside torch.func's transforms, as text.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace trainhost::autograd {

// "BatchedTensor(lvl=1, bdim=0, value=...)" around the text of the tensor below; `text` of the tensor itself outside
// any transform.
std::string text_of(const at::Tensor& tensor, const std::function<std::string(const at::Tensor&)>& text);

}  // namespace trainhost::autograd
