// What state dicts and conversions need of a module; gradients of whole module trees.
#include <c10/core/GradMode.h>
#include <torch/csrc/api/include/torch/nn/module.h>

#include "host/model/gradients.h"
#include "host/model/module.h"

namespace trainhost::model {

NamedTensors own_state(const Module& module) {
  NamedTensors out;
  for (auto& item : module.named_parameters(false)) out.emplace_back(item.key(), item.value());
  for (auto& item : module.named_buffers(false))
    if (item.value().defined() && is_persistent(module, item.key())) out.emplace_back(item.key(), item.value());
  return out;
}

bool set_data(const at::Tensor& own, const at::Tensor& data) {
  if (!own.unsafeGetTensorImpl()->has_compatible_shallow_copy_type(data.key_set())) return false;
  own.set_data(data);
  return true;
}

void copy_into(const at::Tensor& own, const at::Tensor& value) {
  const c10::NoGradGuard no_grad;
  own.copy_(value);
}

void zero_grad(Module& module, bool set_to_none) {
  for (const auto& [_, parameter] : parameters(module)) clear_gradient(parameter, set_to_none);
}

void set_requires_grad(Module& module, bool on) {
  for (auto& [_, parameter] : parameters(module)) parameter.set_requires_grad(on);
}

}  // namespace trainhost::model
