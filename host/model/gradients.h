// Clipping of gradients, as torch.nn.utils does it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace trainhost::model {

// The norm of all gradients as if they were one vector: a 0-dim tensor, 0 if there is none. norm_type may be
// infinity. No gradient is changed.
at::Tensor grad_norm(const std::vector<at::Tensor>& parameters, double norm_type);
// Scales gradients in place so that their norm is at most max_norm; returns the norm before. Does not wait for the
// device.
at::Tensor clip_grad_norm(const std::vector<at::Tensor>& parameters, double max_norm, double norm_type);
// Clamps each gradient in place to [-clip_value, clip_value].
void clip_grad_value(const std::vector<at::Tensor>& parameters, double clip_value);

// All gradients as one vector, complex ones as pairs; zeros where there is none.
at::Tensor flat_gradient(const std::vector<at::Tensor>& parameters);
// Adds size * update to the parameters, update being a vector as flat_gradient gives it.
void move_along(const std::vector<at::Tensor>& parameters, const at::Tensor& update, double size);

}  // namespace trainhost::model
