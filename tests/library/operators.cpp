// A library of custom operators: a schema of many types, autograd formulas both ways, an in-place operator.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>

namespace {

at::Tensor weighted(const at::Tensor& a, const std::optional<at::Tensor>& b, const at::Scalar& alpha,
                    at::OptionalIntArrayRef dims, bool keepdim, c10::string_view mode, double eps,
                    std::optional<at::ScalarType> dtype) {
  at::Tensor x = b ? at::add(a, *b, alpha) : at::mul(a, alpha);
  x = x + eps;
  if (mode == "mean") return at::mean(x, dims, keepdim, dtype);
  TORCH_CHECK(mode == "sum", "weighted: mode must be 'sum' or 'mean', got '", mode, "'");
  return at::sum(x, dims, keepdim, dtype);
}

std::tuple<at::Tensor, std::string, std::vector<int64_t>, double, bool> describe(at::TensorList xs,
                                                                                 at::IntArrayRef pair,
                                                                                 at::ArrayRef<double> weights,
                                                                                 std::optional<at::Device> device,
                                                                                 c10::string_view word) {
  std::string text = device ? device->str() : "anywhere";
  text += " " + std::string(word);
  double total = 0;
  for (double weight : weights) total += weight;
  return {at::stack(xs), text, pair.vec(), total, word.empty()};
}

// Its own backward: 3 x^2, written with torch::autograd::Function.
struct Cube : torch::autograd::Function<Cube> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return x * x * x;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    return {grads[0] * 3 * x * x};
  }
};
at::Tensor cube(const at::Tensor& x) { return Cube::apply(x); }

// A kernel, and a formula registered for the Autograd key that passes the gradient on where the kernel's would be 0.
at::Tensor soft_clip(const at::Tensor& x, double limit) { return at::clamp(x, -limit, limit); }

struct SoftClip : torch::autograd::Function<SoftClip> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, double limit) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({x});
    context->saved_data["limit"] = limit;
    static auto op = c10::Dispatcher::singleton()
                         .findSchemaOrThrow("trainhost_test::soft_clip", "")
                         .typed<at::Tensor(const at::Tensor&, double)>();
    return op.call(x, limit);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const at::Tensor x = context->get_saved_variables()[0];
    const double limit = context->saved_data["limit"].toDouble();
    return {at::where(x.abs() > limit, grads[0] * 0.1, grads[0]), at::Tensor()};
  }
};
at::Tensor soft_clip_autograd(const at::Tensor& x, double limit) { return SoftClip::apply(x, limit); }

at::Tensor& twice_(at::Tensor& self) { return self.mul_(2); }

// What LibTorch's own operators do not take: each gives back what it was given, so that both ways are seen.
using Rows = std::vector<std::vector<int64_t>>;
Rows rows(const Rows& x) { return x; }
c10::Dict<std::string, at::Tensor> doubled(const c10::Dict<std::string, at::Tensor>& x) {
  c10::Dict<std::string, at::Tensor> result;
  for (const auto& entry : x) result.insert(entry.key(), entry.value() * 2);
  return result;
}
std::string keys(const c10::Dict<std::string, at::Tensor>& x) {
  std::string text;
  for (const auto& entry : x) text += entry.key() + " ";
  return text;
}
std::vector<std::vector<at::Tensor>> groups(std::vector<std::vector<at::Tensor>> x) {
  std::reverse(x.begin(), x.end());
  return x;
}
std::tuple<at::Tensor, int64_t> pair(std::tuple<at::Tensor, int64_t> x) { return x; }
c10::List<std::optional<at::Tensor>> holes(const c10::List<std::optional<at::Tensor>>& x) { return x; }
c10::List<std::optional<double>> gaps(const c10::List<std::optional<double>>& x) { return x; }
c10::Dict<int64_t, std::vector<double>> by_number(const c10::Dict<int64_t, std::vector<double>>& x) { return x; }

}  // namespace

TORCH_LIBRARY(trainhost_test, m) {
  m.def(
      "weighted(Tensor a, Tensor? b=None, *, Scalar alpha=1, int[]? dims=None, bool keepdim=False, str mode=\"sum\", "
      "float eps=0.5, ScalarType? dtype=None) -> Tensor",
      weighted);
  m.def(
      "describe(Tensor[] xs, int[2] pair, float[] weights, Device? device=None, str word=\"\") -> (Tensor, str, "
      "int[], float, bool)",
      describe);
  m.def("cube(Tensor x) -> Tensor", cube);
  m.def("soft_clip(Tensor x, float limit=1.0) -> Tensor");
  m.def("rows(int[][] x) -> int[][]", rows);
  m.def("doubled(Dict(str, Tensor) x) -> Dict(str, Tensor)", doubled);
  m.def("keys(Dict(str, Tensor) x) -> str", keys);
  m.def("groups(Tensor[][] x) -> Tensor[][]", groups);
  m.def("pair((Tensor, int) x) -> (Tensor, int)", pair);
  m.def("holes(Tensor?[] x) -> Tensor?[]", holes);
  m.def("gaps(float?[]? x=None) -> float?[]", [](std::optional<c10::List<std::optional<double>>> x) {
    return gaps(x.value_or(c10::List<std::optional<double>>()));
  });
  m.def("by_number(Dict(int, float[]) x) -> Dict(int, float[])", by_number);
  m.def("stream(Stream x) -> int", [](c10::Stream) { return int64_t{0}; });
  m.def("twice_(Tensor(a!) self) -> Tensor(a!)", twice_);
}
TORCH_LIBRARY_IMPL(trainhost_test, CPU, m) { m.impl("soft_clip", soft_clip); }
TORCH_LIBRARY_IMPL(trainhost_test, Autograd, m) { m.impl("soft_clip", soft_clip_autograd); }
