// A second library, which adds to the first one's namespace: an operator, and an overload of one that is in use.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

namespace {
at::Tensor fourth(const at::Tensor& x) { return x * x * x * x; }
at::Tensor cube_scaled(const at::Tensor& x, const at::Scalar& by) { return x * x * x * by; }
}  // namespace

TORCH_LIBRARY_FRAGMENT(trainhost_test, m) {
  m.def("fourth(Tensor x) -> Tensor", fourth);
  m.def("cube.scaled(Tensor x, Scalar by) -> Tensor", cube_scaled);
}
