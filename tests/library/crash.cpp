// Ends the process by a signal while it is being opened.
#include <torch/library.h>

#include <cstdlib>

TORCH_LIBRARY(trainhost_crash, m) {
  m.def("never(Tensor x) -> Tensor");
  std::abort();
}
