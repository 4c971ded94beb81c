// Plain tensors, given to the transforms that are active.
#include "host/tensor/fresh.h"

#include <ATen/TracerMode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/lift_fresh.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace trainhost::tensor {

void run_below_transforms(void (*call)(void*), void* data) {
  using c10::DispatchKey;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const c10::impl::ExcludeDispatchKeyGuard below_modes(
      c10::DispatchKeySet({DispatchKey::FuncTorchDynamicLayerFrontMode, DispatchKey::FuncTorchDynamicLayerBackMode,
                           DispatchKey::Functionalize, DispatchKey::Fake, DispatchKey::DeferredInit,
                           DispatchKey::Python, DispatchKey::PythonTLSSnapshot}));
  const at::tracer::impl::NoTracerDispatchMode untraced;
  call(data);
}

at::Tensor lifted(at::Tensor tensor) {
  using c10::impl::tls_is_dispatch_key_included;
  const bool transforms = tls_is_dispatch_key_included(c10::DispatchKey::FuncTorchDynamicLayerFrontMode) ||
                          tls_is_dispatch_key_included(c10::DispatchKey::Functionalize);
  if (!transforms) return tensor;
  const at::tracer::impl::NoTracerDispatchMode untraced;
  return at::lift_fresh(tensor);
}

}  // namespace trainhost::tensor
