// Tensors made of data that is no tensor yet.
#pragma once

#include <ATen/TracerMode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace trainhost::tensor {

// While it lives, operators of this thread make plain tensors, whose memory may be written: no transform of torch.func
// wraps them, and neither autograd nor a tracer sees them. As torch/csrc/utils/tensor_new.cpp does.
class BelowTransforms {
  at::AutoDispatchBelowADInplaceOrView autograd_;
  c10::impl::ExcludeDispatchKeyGuard modes_{c10::DispatchKeySet(
      {c10::DispatchKey::FuncTorchDynamicLayerFrontMode, c10::DispatchKey::FuncTorchDynamicLayerBackMode,
       c10::DispatchKey::Functionalize, c10::DispatchKey::Fake, c10::DispatchKey::DeferredInit,
       c10::DispatchKey::Python, c10::DispatchKey::PythonTLSSnapshot})};
  at::tracer::impl::NoTracerDispatchMode tracer_;
};

// What `make` gives, made below the transforms.
template <class Make>
auto below_transforms(Make make) {
  const BelowTransforms plain;
  return make();
}

// The plain tensor as one of the innermost transform; itself where there is none.
at::Tensor lifted(at::Tensor tensor);

}  // namespace trainhost::tensor
