// What a transform wraps is printed with the transforms set aside.
#include "host/autograd/wrapped.h"

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace trainhost::autograd {
namespace {

namespace ft = at::functorch;

std::string enclosed(const std::string& head, const std::string& text) {
  std::string result = head + ", value=\n    ";
  for (const char c : text) {
    result += c;
    if (c == '\n') result += "    ";
  }
  return result + "\n)";
}

std::string nested_text(const at::Tensor& tensor, const std::function<std::string(const at::Tensor&)>& text) {
  if (const auto* batched = ft::maybeGetBatchedImpl(tensor))
    return enclosed(
        "BatchedTensor(lvl=" + std::to_string(batched->level()) + ", bdim=" + std::to_string(batched->bdim()),
        nested_text(batched->value(), text));
  if (auto* wrapper = ft::maybeGetTensorWrapper(tensor)) {
    const std::string inner = nested_text(wrapper->value(), text);
    if (const auto level = wrapper->level()) return enclosed("GradTrackingTensor(lvl=" + std::to_string(*level), inner);
    return inner;
  }
  return text(tensor);
}

}  // namespace

std::string text_of(const at::Tensor& tensor, const std::function<std::string(const at::Tensor&)>& text) {
  const c10::impl::ExcludeDispatchKeyGuard front(c10::DispatchKey::FuncTorchDynamicLayerFrontMode);
  const c10::impl::ExcludeDispatchKeyGuard back(c10::DispatchKey::FuncTorchDynamicLayerBackMode);
  return nested_text(tensor, text);
}

}  // namespace trainhost::autograd
