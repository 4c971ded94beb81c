// Plain tensors, given to the transforms that are active.
#include "host/tensor/fresh.h"

#include <ATen/ops/lift_fresh.h>

namespace trainhost::tensor {

at::Tensor lifted(at::Tensor tensor) {
  using c10::impl::tls_is_dispatch_key_included;
  const bool transforms = tls_is_dispatch_key_included(c10::DispatchKey::FuncTorchDynamicLayerFrontMode) ||
                          tls_is_dispatch_key_included(c10::DispatchKey::Functionalize);
  if (!transforms) return tensor;
  const at::tracer::impl::NoTracerDispatchMode untraced;
  return at::lift_fresh(tensor);
}

}  // namespace trainhost::tensor
