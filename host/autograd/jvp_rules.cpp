// The operators that PyTorch decomposes in Python under forward AD (torch/_decomp/decompositions_for_jvp.py), by the
// same formulas: where an operator has no forward derivative, LibTorch runs what is found here and derives that.
#include "host/autograd/jvp_rules.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/jit_decomp_interface.h>

#include <array>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/autograd/losses.h"

namespace trainhost::autograd {
namespace {

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

bool is_given(const MaybeTensor& tensor) { return tensor && tensor->defined(); }

Tensor trace(const Tensor& input) { return at::diag(input).sum(); }

std::tuple<Tensor, Tensor> log_sigmoid_forward(const Tensor& input) {
  const Tensor least = at::minimum(input.new_zeros({}), input), z = input.abs().neg().exp();
  return {least.sub(z.log1p()), input.is_cuda() || input.is_xpu() ? input.new_zeros({0}) : z};
}

Tensor softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, at::ScalarType type) {
  const Tensor product = grad.mul(output);
  const Tensor result = product.sub(output.mul(product.sum(dim, /*keepdim=*/true)));
  return (grad.scalar_type() == type ? result : result.to(type)).contiguous();
}

Tensor log_softmax_backward(const Tensor& grad, const Tensor& output, int64_t dim, at::ScalarType type) {
  const Tensor result = grad.sub(output.exp().mul(grad.sum(dim, /*keepdim=*/true)));
  return grad.scalar_type() == type ? result : result.to(type);
}

// The mean and 1/deviation of a normalization once more, so that their derivatives are followed. What was added to the
// variance is found from the given ones.
std::pair<Tensor, Tensor> again(const Tensor& input, const Tensor& deviation, at::IntArrayRef dims, bool keepdim) {
  const auto [var, mean] = at::var_mean(input, dims, /*correction=*/at::Scalar(0), keepdim);
  const Tensor eps = deviation.reciprocal().pow(2).sub(var).detach();
  return {mean, var.add(eps).rsqrt()};
}

std::vector<int64_t> range(int64_t from, int64_t to) {
  std::vector<int64_t> result(static_cast<size_t>(to - from));
  std::iota(result.begin(), result.end(), from);
  return result;
}

// What stands for a gradient that nobody asked for: reverse mode cannot carry an undefined one through here.
Tensor no_gradient(const MaybeTensor& of) { return is_given(of) ? at::zeros_like(*of) : at::zeros({}); }

Three layer_norm_backward(const Tensor& grad, const Tensor& input, c10::SymIntArrayRef shape, const Tensor& /*mean*/,
                          const Tensor& deviation, const MaybeTensor& weight, const MaybeTensor& bias,
                          std::array<bool, 3> wanted) {
  const int64_t dims = input.dim(), axis = dims - static_cast<int64_t>(shape.size());
  const at::IntArrayRef sizes = input.sizes();
  const std::vector<int64_t> inner = range(axis, dims), outer = range(0, axis);
  int64_t count = 1;
  for (const int64_t dim : inner) count *= sizes[static_cast<size_t>(dim)];
  if (input.numel() == 0) {
    const auto each = sizes.slice(static_cast<size_t>(axis));
    return {input.new_zeros(sizes), input.new_zeros(each), input.new_zeros(each)};
  }
  const auto total = [&](const Tensor& x) { return outer.empty() ? x : x.sum(outer); };
  const auto [mean, scale] = again(input, deviation, inner, /*keepdim=*/true);
  const Tensor x = input.sub(mean).mul(scale);
  const Tensor gradient = is_given(weight) ? grad.mul(*weight) : grad;
  const Tensor left = gradient.mul(count).sub(gradient.sum(inner, true)).sub(x.mul(gradient.mul(x).sum(inner, true)));
  return {wanted[0] ? scale.div(count).mul(left) : at::zeros_like(input),
          wanted[1] && is_given(weight) ? total(grad.mul(x)) : no_gradient(weight),
          wanted[2] && is_given(bias) ? (outer.empty() ? grad.clone() : total(grad)) : no_gradient(bias)};
}

Three batch_norm_backward(const Tensor& grad, const Tensor& input, const MaybeTensor& weight,
                          const MaybeTensor& running_mean, const MaybeTensor& running_var,
                          const MaybeTensor& saved_mean, const MaybeTensor& saved_deviation, bool train, double eps,
                          std::array<bool, 3> wanted) {
  TORCH_CHECK(input.dim() >= 2, "rank of the input must be at least 2, got ", input.dim());
  TORCH_CHECK(!train || (is_given(saved_mean) && is_given(saved_deviation)),
              "when train=True, save_mean and save_invstd are required");
  TORCH_CHECK(train || (is_given(running_mean) && is_given(running_var)),
              "running_mean and running_var must not be None when train=False");
  std::vector<int64_t> others = range(1, input.dim());  // all dims but the channels'
  others[0] = 0;
  std::vector<int64_t> channels(static_cast<size_t>(input.dim()), 1);
  channels[1] = input.size(1);
  const auto spread = [&](const Tensor& x) { return x.reshape(channels); };

  Tensor mean, scale;
  if (train) std::tie(mean, scale) = again(input, *saved_deviation, others, /*keepdim=*/false);
  else mean = *running_mean, scale = running_var->add(eps).rsqrt();
  const double share = static_cast<double>(input.size(1)) / static_cast<double>(input.numel());
  const Tensor centred = input.sub(spread(mean));
  const Tensor sum = grad.sum(others), product = grad.mul(centred).sum(others);
  const Tensor factor = spread(is_given(weight) ? scale.mul(*weight) : scale);
  Tensor left = grad;
  if (train) left = grad.sub(centred.mul(spread(product.mul(share).mul(scale.mul(scale))))).sub(spread(sum.mul(share)));
  return {left.mul(factor), wanted[1] ? product.mul(scale) : no_gradient(weight),
          wanted[2] ? sum : at::zeros_like(sum)};
}

Three any_batch_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& weight,
                              const MaybeTensor& running_mean, const MaybeTensor& running_var,
                              const MaybeTensor& saved_mean, const MaybeTensor& saved_var, bool update, double eps,
                              std::array<bool, 3> wanted, const Tensor& /*reserve*/) {
  return batch_norm_backward(grad, input, weight, running_mean, running_var, saved_mean, saved_var, update, eps,
                             wanted);
}

Three miopen_batch_norm_backward(const Tensor& input, const Tensor& grad, const Tensor& weight,
                                 const MaybeTensor& running_mean, const MaybeTensor& running_var,
                                 const MaybeTensor& saved_mean, const MaybeTensor& saved_var, double eps) {
  return at::native_batch_norm_backward(grad, input, weight, running_mean, running_var, saved_mean, saved_var,
                                        /*train=*/true, eps, {true, true, true});
}

Three cudnn_batch_norm_backward(const Tensor& input, const Tensor& grad, const Tensor& weight,
                                const MaybeTensor& running_mean, const MaybeTensor& running_var,
                                const MaybeTensor& saved_mean, const MaybeTensor& saved_var, double eps,
                                const Tensor& /*reserve*/) {
  return miopen_batch_norm_backward(input, grad, weight, running_mean, running_var, saved_mean, saved_var, eps);
}

// What LibTorch asks; where nothing is found here, it is asked what it had itself.
class Rules final : public torch::autograd::impl::JitDecompInterface {
 public:
  explicit Rules(const JitDecompInterface* own) : own_(own) {
    add("aten::trace", trace);
    add("aten::nll_loss_backward", nll_loss_backward);
    add("aten::nll_loss2d_backward", nll_loss_backward);
    add("aten::_softmax_backward_data", softmax_backward);
    add("aten::_log_softmax_backward_data", log_softmax_backward);
    add("aten::log_sigmoid_forward", log_sigmoid_forward);
    add("aten::native_layer_norm_backward", layer_norm_backward);
    add("aten::native_batch_norm_backward", batch_norm_backward);
    add("aten::batch_norm_backward", any_batch_norm_backward);
    add("aten::miopen_batch_norm_backward", miopen_batch_norm_backward);
    add("aten::cudnn_batch_norm_backward", cudnn_batch_norm_backward);
  }

  bool has_jit_decomposition(const c10::FunctionSchema& schema) const override {
    return kernels_.contains(schema.operator_name()) || (own_ && own_->has_jit_decomposition(schema));
  }

  void run_jit_decomposition(const c10::OperatorHandle& op, torch::jit::Stack* stack) const override {
    const auto found = kernels_.find(op.operator_name());
    if (found == kernels_.end()) return own_->run_jit_decomposition(op, stack);
    found->second.callBoxed(op, c10::DispatchKeySet(), stack);
  }

 private:
  template <class F>
  void add(const char* name, F* formula) {
    kernels_.emplace(c10::OperatorName(name, ""), c10::KernelFunction::makeFromUnboxedRuntimeFunction(formula));
  }

  const JitDecompInterface* own_;
  std::unordered_map<c10::OperatorName, c10::KernelFunction> kernels_;
};

}  // namespace

void install_jvp_rules() {
  // Never destroyed: LibTorch keeps the pointer, and its threads may run until the process ends.
  static Rules* const rules = [] {
    auto* made = new Rules(torch::autograd::impl::getJitDecompImpl());
    torch::autograd::impl::setJitDecompImpl(made);
    return made;
  }();
  static_cast<void>(rules);
}

}  // namespace trainhost::autograd
