// The backward of nll_loss in operators that every transform knows.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace trainhost::autograd {

// Of nll_loss and nll_loss2d: the gradient of the input, of its shape. As _nll_loss_backward of torch/_decomp.
at::Tensor nll_loss_backward(const at::Tensor& grad, const at::Tensor& input, const at::Tensor& target,
                             const std::optional<at::Tensor>& weight, int64_t reduction, c10::SymInt ignore_index,
                             const at::Tensor& total);

}  // namespace trainhost::autograd
