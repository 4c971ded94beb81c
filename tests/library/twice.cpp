// Claims a namespace that another library has: LibTorch refuses that while the library is being opened.
#include <torch/library.h>

TORCH_LIBRARY(trainhost_test, m) { m.def("never(Tensor x) -> Tensor"); }
