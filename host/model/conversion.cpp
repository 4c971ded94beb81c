// Modules moved and converted without a detour through Lua for each tensor.
#include "host/model/conversion.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/api/include/torch/nn/module.h>

#include "host/tensor/uninitialized.h"

namespace trainhost::model {
namespace {

// The tensor itself where nothing changes.
at::Tensor converted(const at::Tensor& tensor, const Conversion& to) {
  const at::ScalarType own = tensor.scalar_type();
  const bool number = at::isFloatingType(own) || (to.complex && at::isComplexType(own));
  const at::ScalarType dtype = number && to.dtype ? *to.dtype : own;
  const at::Device device = to.device.value_or(tensor.device());
  const bool formatted = to.format && (tensor.dim() == 4 || tensor.dim() == 5);
  if (dtype == own && device == tensor.device() && !formatted) return tensor;
  return tensor.to(dtype, std::nullopt, device, std::nullopt, to.non_blocking, /*copy=*/false,
                   formatted ? to.format : std::nullopt);
}

bool convert_one(const at::Tensor& tensor, const Conversion& to) {
  if (tensor::is_uninitialized(tensor)) return false;
  const at::Tensor made = converted(tensor, to);
  return made.is_same(tensor) || set_data(tensor, made);
}

void convert_gradient(const at::Tensor& parameter, const Conversion& to) {
  at::Tensor& gradient = parameter.mutable_grad();
  if (!gradient.defined()) return;
  at::Tensor made = converted(gradient, to);
  if (!made.is_same(gradient) && !set_data(gradient, made)) gradient = made.requires_grad_(gradient.requires_grad());
}

}  // namespace

bool convert(Module& module, const Conversion& conversion) {
  const c10::NoGradGuard no_grad;
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (!item.value().defined()) continue;
    if (!convert_one(item.value(), conversion)) return false;
    convert_gradient(item.value(), conversion);
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false))
    if (item.value().defined() && !convert_one(item.value(), conversion)) return false;
  return true;
}

}  // namespace trainhost::model
