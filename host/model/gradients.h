// Gradients of parameters: taken away, clipped as torch.nn.utils does it, as one vector.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace trainhost::model {

// The parameter's gradient: none, or zeros without history.
void clear_gradient(const at::Tensor& parameter, bool set_to_none);

// None of these waits for the device. foreach: one kernel for all tensors of a device and dtype.

// The norm of all tensors as if they were one vector: a 0-dim tensor, 0 if there is none. norm_type may be infinity.
at::Tensor total_norm(const std::vector<at::Tensor>& tensors, double norm_type, bool foreach);
// The same of the gradients.
at::Tensor grad_norm(const std::vector<at::Tensor>& parameters, double norm_type, bool foreach);
// Scales gradients of this norm in place so that it is at most max_norm.
void clip_grads_with_norm(const std::vector<at::Tensor>& parameters, double max_norm, const at::Tensor& norm,
                          bool foreach);
// Clamps each gradient in place to [-clip_value, clip_value].
void clip_grad_value(const std::vector<at::Tensor>& parameters, double clip_value, bool foreach);

// All gradients as one vector, complex ones as pairs; zeros where there is none.
at::Tensor flat_gradient(const std::vector<at::Tensor>& parameters);
// Adds size * update to the parameters, update being a vector as flat_gradient gives it.
void move_along(const std::vector<at::Tensor>& parameters, const at::Tensor& update, double size);

}  // namespace trainhost::model
