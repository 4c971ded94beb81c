// Gradients of many parameters at once: norms, clipping, as one vector.
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

#include "host/base/error.h"

namespace trainhost::model {
namespace {

// Gradients, those of one device and dtype together: what a _foreach_ kernel takes.
std::vector<std::vector<at::Tensor>> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<std::vector<at::Tensor>> alike;
  for (const at::Tensor& parameter : parameters) {
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    std::vector<at::Tensor>* into = nullptr;
    for (auto& list : alike)
      if (list[0].device() == gradient.device() && list[0].scalar_type() == gradient.scalar_type()) into = &list;
    if (!into) into = &alike.emplace_back();
    into->push_back(gradient);
  }
  return alike;
}

at::Tensor norm_of(const std::vector<std::vector<at::Tensor>>& gradients, double norm_type) {
  std::vector<at::Tensor> norms;
  for (const auto& list : gradients)
    for (at::Tensor& norm : at::_foreach_norm(list, norm_type)) norms.push_back(std::move(norm));
  if (norms.empty()) return at::zeros({});
  for (at::Tensor& norm : norms) norm = norm.to(norms[0].device());
  return at::linalg_vector_norm(at::stack(norms), norm_type);
}

}  // namespace

at::Tensor grad_norm(const std::vector<at::Tensor>& parameters, double norm_type) {
  c10::NoGradGuard no_grad;
  return norm_of(gradients_of(parameters), norm_type);
}

at::Tensor clip_grad_norm(const std::vector<at::Tensor>& parameters, double max_norm, double norm_type) {
  c10::NoGradGuard no_grad;
  const auto gradients = gradients_of(parameters);
  at::Tensor total = norm_of(gradients, norm_type);
  const at::Tensor scale = total.add(1e-6).reciprocal().mul(max_norm).clamp_max(1.0);
  for (const auto& list : gradients) at::_foreach_mul_(list, scale.to(list[0].device()));
  return total;
}

void clip_grad_value(const std::vector<at::Tensor>& parameters, double clip_value) {
  c10::NoGradGuard no_grad;
  for (const auto& list : gradients_of(parameters)) {
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
