// Tensors as text. Each golden is what Python prints for the expression beside it:
//   python -c "import torch; print(torch.linspace(-1, 1, 5))"          (PyTorch 2.13)
#include "host/tensor/print.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <string>

#include "tests/cpp/catch.h"

using trainhost::tensor::PrintOptions;
using trainhost::tensor::to_string;

TEST_CASE("a tensor prints as in Python", "[print]") {
  const struct {
    const char* python;
    at::Tensor tensor;
    const char* text;
  } kGoldens[] = {
      {"torch.linspace(-1, 1, 5)", at::linspace(-1, 1, 5), "tensor([-1.0000, -0.5000,  0.0000,  0.5000,  1.0000])"},
      {"torch.arange(4).float()", at::arange(4).to(at::kFloat), "tensor([0., 1., 2., 3.])"},
      {"torch.arange(30).double() / 7", at::arange(30).to(at::kDouble).div(7),
       "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
       "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
       "        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857, 3.4286, 3.5714, 3.7143,\n"
       "        3.8571, 4.0000, 4.1429], dtype=torch.float64)"},
      {"torch.arange(1, 4).float() ** 20", at::arange(1, 4).to(at::kFloat).pow(20),
       "tensor([1.0000e+00, 1.0486e+06, 3.4868e+09])"},
      {"torch.arange(-3, 9).reshape(3, 4)", at::arange(-3, 9).reshape({3, 4}),
       "tensor([[-3, -2, -1,  0],\n"
       "        [ 1,  2,  3,  4],\n"
       "        [ 5,  6,  7,  8]])"},
      {"torch.arange(4) > 1", at::arange(4).gt(1), "tensor([False, False,  True,  True])"},
      {"torch.arange(3).half() / 3", at::arange(3).to(at::kHalf).div(3),
       "tensor([0.0000, 0.3333, 0.6665], dtype=torch.float16)"},
      {"torch.arange(3).to(torch.float8_e4m3fn)", at::arange(3).to(at::kFloat8_e4m3fn),
       "tensor([0., 1., 2.], dtype=torch.float8_e4m3fn)"},
      {"torch.full((2,), -1).to(torch.uint64)", at::full({2}, -1).to(at::kUInt64),
       "tensor([18446744073709551615, 18446744073709551615], dtype=torch.uint64)"},
      {"torch.full((), 2.5)", at::full({}, 2.5), "tensor(2.5000)"},
      {"torch.empty(0, 3)", at::empty({0, 3}), "tensor([], size=(0, 3))"},
      {"torch.empty(0, dtype=torch.int64)", at::empty({0}, at::kLong), "tensor([], dtype=torch.int64)"},
      {"torch.arange(-1, 2).float() / 0", at::arange(-1, 2).to(at::kFloat).div(0), "tensor([-inf, nan, inf])"},
      {"torch.complex(torch.arange(3).float(), torch.arange(3).float() * -0.5)",
       at::complex(at::arange(3).to(at::kFloat), at::arange(3).to(at::kFloat).mul(-0.5)),
       "tensor([0.-0.0000j, 1.-0.5000j, 2.-1.0000j])"},
      {"torch.arange(2000)", at::arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"},
      {"torch.arange(2000).float().reshape(2, 20, 50)", at::arange(2000).to(at::kFloat).reshape({2, 20, 50}),
       "tensor([[[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 4.7000e+01,\n"
       "          4.8000e+01, 4.9000e+01],\n"
       "         [5.0000e+01, 5.1000e+01, 5.2000e+01,  ..., 9.7000e+01,\n"
       "          9.8000e+01, 9.9000e+01],\n"
       "         [1.0000e+02, 1.0100e+02, 1.0200e+02,  ..., 1.4700e+02,\n"
       "          1.4800e+02, 1.4900e+02],\n"
       "         ...,\n"
       "         [8.5000e+02, 8.5100e+02, 8.5200e+02,  ..., 8.9700e+02,\n"
       "          8.9800e+02, 8.9900e+02],\n"
       "         [9.0000e+02, 9.0100e+02, 9.0200e+02,  ..., 9.4700e+02,\n"
       "          9.4800e+02, 9.4900e+02],\n"
       "         [9.5000e+02, 9.5100e+02, 9.5200e+02,  ..., 9.9700e+02,\n"
       "          9.9800e+02, 9.9900e+02]],\n"
       "\n"
       "        [[1.0000e+03, 1.0010e+03, 1.0020e+03,  ..., 1.0470e+03,\n"
       "          1.0480e+03, 1.0490e+03],\n"
       "         [1.0500e+03, 1.0510e+03, 1.0520e+03,  ..., 1.0970e+03,\n"
       "          1.0980e+03, 1.0990e+03],\n"
       "         [1.1000e+03, 1.1010e+03, 1.1020e+03,  ..., 1.1470e+03,\n"
       "          1.1480e+03, 1.1490e+03],\n"
       "         ...,\n"
       "         [1.8500e+03, 1.8510e+03, 1.8520e+03,  ..., 1.8970e+03,\n"
       "          1.8980e+03, 1.8990e+03],\n"
       "         [1.9000e+03, 1.9010e+03, 1.9020e+03,  ..., 1.9470e+03,\n"
       "          1.9480e+03, 1.9490e+03],\n"
       "         [1.9500e+03, 1.9510e+03, 1.9520e+03,  ..., 1.9970e+03,\n"
       "          1.9980e+03, 1.9990e+03]]])"},
      {"torch.eye(2).to_sparse()", at::eye(2).to_sparse(),
       "tensor(indices=tensor([[0, 1],\n"
       "                       [0, 1]]),\n"
       "       values=tensor([1., 1.]),\n"
       "       size=(2, 2), nnz=2, layout=torch.sparse_coo)"},
      {"torch.empty(2, 3, device='meta', dtype=torch.half)",
       at::empty({2, 3}, at::TensorOptions(at::kMeta).dtype(at::kHalf)),
       "tensor(..., device='meta', size=(2, 3), dtype=torch.float16)"},
  };
  for (const auto& golden : kGoldens) {
    INFO(golden.python);
    CHECK(to_string(golden.tensor) == golden.text);
  }
}

TEST_CASE("gradients and parameters show in print", "[print]") {
  const at::Tensor leaf = at::ones({2}).requires_grad_();
  CHECK(to_string(leaf) == "tensor([1., 1.], requires_grad=True)");
  CHECK(to_string(leaf.add(leaf.detach())) == "tensor([2., 2.], grad_fn=<AddBackward0>)");
  CHECK(to_string(leaf, true) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)");
}

TEST_CASE("a suffix that does not fit goes to a line of its own", "[print]") {
  // print(torch.arange(14, dtype=torch.float32, requires_grad=True))
  CHECK(to_string(at::arange(14).to(at::kFloat).requires_grad_()) ==
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.],\n"
        "       requires_grad=True)");
}

TEST_CASE("print options are PyTorch's", "[print]") {
  const at::Tensor tensor = at::linspace(0.5, 1, 12);
  PrintOptions options;
  options.precision = 2;
  options.threshold = 5;
  options.edgeitems = 1;
  // torch.set_printoptions(precision=2, threshold=5, edgeitems=1); print(torch.linspace(0.5, 1, 12))
  CHECK(to_string(tensor, false, options) == "tensor([0.50,  ..., 1.00])");
  options.sci_mode = true;
  CHECK(to_string(tensor, false, options) == "tensor([5.00e-01,  ..., 1.00e+00])");
  options = PrintOptions();
  options.linewidth = 30;
  // torch.set_printoptions(linewidth=30); print(torch.linspace(0, 1, 5))
  CHECK(to_string(at::linspace(0, 1, 5), false, options) ==
        "tensor([0.0000, 0.2500,\n        0.5000, 0.7500,\n        1.0000])");
  options.threshold = INFINITY;
  CHECK(to_string(at::arange(2000), false, options).find("...") == std::string::npos);
}
