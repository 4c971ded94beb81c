// Gradients of many parameters at once: zeros, norms, clipping, as one vector.
#include "host/model/gradients.h"

#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

namespace trainhost::model {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  return gradients;
}

// Those of one device and dtype together: what a _foreach_ kernel takes.
std::vector<std::vector<at::Tensor>> alike(const std::vector<at::Tensor>& tensors) {
  std::vector<std::vector<at::Tensor>> lists;
  for (const at::Tensor& tensor : tensors) {
    std::vector<at::Tensor>* into = nullptr;
    for (auto& list : lists)
      if (list[0].device() == tensor.device() && list[0].scalar_type() == tensor.scalar_type()) into = &list;
    if (!into) into = &lists.emplace_back();
    into->push_back(tensor);
  }
  return lists;
}

}  // namespace

void clear_gradient(const at::Tensor& parameter, bool set_to_none) {
  c10::NoGradGuard no_grad;
  at::Tensor& gradient = parameter.mutable_grad();
  if (!gradient.defined()) return;
  if (set_to_none) {
    gradient.reset();
    return;
  }
  if (gradient.grad_fn()) gradient.detach_();
  else gradient.requires_grad_(false);
  gradient.zero_();
}

at::Tensor total_norm(const std::vector<at::Tensor>& tensors, double norm_type, bool foreach) {
  c10::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const auto& list : alike(tensors)) {
    if (foreach)
      for (at::Tensor& norm : at::_foreach_norm(list, norm_type)) norms.push_back(std::move(norm));
    else
      for (const at::Tensor& tensor : list) norms.push_back(at::linalg_vector_norm(tensor, norm_type));
  }
  if (norms.empty()) return at::zeros({});
  for (at::Tensor& norm : norms) norm = norm.to(norms[0].device());
  return at::linalg_vector_norm(at::stack(norms), norm_type);
}

at::Tensor grad_norm(const std::vector<at::Tensor>& parameters, double norm_type, bool foreach) {
  return total_norm(gradients_of(parameters), norm_type, foreach);
}

void clip_grads_with_norm(const std::vector<at::Tensor>& parameters, double max_norm, const at::Tensor& norm,
                          bool foreach) {
  c10::NoGradGuard no_grad;
  const at::Tensor factor = norm.add(1e-6).reciprocal().mul(max_norm).clamp_max(1.0);
  for (const auto& list : alike(gradients_of(parameters))) {
    const at::Tensor here = factor.to(list[0].device());
    if (foreach) at::_foreach_mul_(list, here);
    else
      for (const at::Tensor& gradient : list) gradient.mul_(here);
  }
}

void clip_grad_value(const std::vector<at::Tensor>& parameters, double clip_value, bool foreach) {
  c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (!foreach) {
    for (const at::Tensor& gradient : gradients) gradient.clamp_(-clip_value, clip_value);
    return;
  }
  for (const auto& list : alike(gradients)) {
    at::_foreach_clamp_min_(list, -clip_value);
    at::_foreach_clamp_max_(list, clip_value);
  }
}

at::Tensor flat_gradient(const std::vector<at::Tensor>& parameters) {
  c10::NoGradGuard no_grad;
  std::vector<at::Tensor> views;
  views.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) {
    at::Tensor gradient = parameter.grad();
    if (!gradient.defined()) gradient = at::zeros({parameter.numel()}, parameter.options());
    else if (gradient.is_sparse()) gradient = gradient.to_dense();
    if (gradient.is_complex()) gradient = at::view_as_real(gradient);
    views.push_back(gradient.reshape({-1}));
  }
  return at::cat(views);
}

void move_along(const std::vector<at::Tensor>& parameters, const at::Tensor& update, double size) {
  c10::NoGradGuard no_grad;
  int64_t offset = 0;
  for (const at::Tensor& parameter : parameters) {
    const at::Tensor real = parameter.is_complex() ? at::view_as_real(parameter) : parameter;
    real.add_(update.narrow(0, offset, real.numel()).view(real.sizes()), size);
    offset += real.numel();
  }
}

}  // namespace trainhost::model
