// The operators that PyTorch decomposes in Python under vmap (torch/_functorch/vmap.py), by the same formulas.
#include "host/autograd/vmap_rules.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/scatter.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

#include "host/autograd/losses.h"

namespace trainhost::autograd {
namespace {

using at::Tensor;
using Weight = std::optional<Tensor>;

int64_t channel_of(const Tensor& input) { return input.dim() < 2 ? 0 : 1; }

// The class weights, shaped to be multiplied with the input.
Tensor shaped(const Tensor& weight, const Tensor& input) {
  if (input.dim() < 2) return weight;
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[1] = weight.size(0);
  return weight.view(shape);
}

std::tuple<Tensor, Tensor> nll_loss_forward(const Tensor& given, const Tensor& target, const Weight& weight,
                                            int64_t reduction, c10::SymInt ignore_index) {
  const int64_t channel = channel_of(given), ignored = ignore_index.expect_int();
  const bool weighted = weight && weight->defined();
  const Tensor input = weighted ? given.mul(shaped(*weight, given)) : given;
  const Tensor counts = target.ne(ignored);
  const Tensor index = at::where(counts, target, 0).unsqueeze(channel);
  Tensor result = at::where(counts, at::gather(input, channel, index).squeeze(channel).neg(), 0);
  if (reduction == at::Reduction::None && given.dim() > 1) return {result, given.new_zeros({})};
  Tensor total = counts.sum().to(given.scalar_type());
  if (weighted) {
    const Tensor each = at::gather(shaped(*weight, given).expand(given.sizes()), channel, index).squeeze(channel);
    total = at::where(counts, each, 0).sum();
  }
  if (reduction == at::Reduction::Sum) result = result.sum();
  if (reduction == at::Reduction::Mean) result = result.sum().div(total);
  return {result, total};
}

double scale(const Tensor& input, int64_t reduction) {
  return reduction == at::Reduction::Mean ? 1.0 / static_cast<double>(input.numel()) : 1.0;
}

Tensor mse_loss_backward(const Tensor& grad, const Tensor& input, const Tensor& target, int64_t reduction) {
  return input.sub(target).mul(2.0 * scale(input, reduction)).mul(grad);
}

Tensor smooth_l1_loss_backward(const Tensor& grad, const Tensor& input, const Tensor& target, int64_t reduction,
                               double beta) {
  const Tensor x = input.sub(target), scaled = grad.mul(scale(input, reduction));
  return at::where(x.abs().lt(beta), scaled.mul(x).div(beta), scaled.mul(x.sign()));
}

Tensor huber_loss_backward(const Tensor& grad, const Tensor& input, const Tensor& target, int64_t reduction,
                           double delta) {
  const Tensor x = input.sub(target), scaled = grad.mul(scale(input, reduction));
  return at::where(x.lt(-delta), scaled.mul(-delta), at::where(x.gt(delta), scaled.mul(delta), x.mul(scaled)));
}

Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, const at::Scalar& beta, const at::Scalar& alpha) {
  const Tensor outer = a.unsqueeze(-1).mul(b).mul(alpha);
  return beta.equal(0) ? outer : outer.add(input.mul(beta));
}

}  // namespace

Tensor nll_loss_backward(const Tensor& given_grad, const Tensor& input, const Tensor& target, const Weight& weight,
                         int64_t reduction, c10::SymInt ignore_index, const Tensor& total) {
  const int64_t channel = channel_of(input);
  Tensor grad = reduction == at::Reduction::Mean ? given_grad.div(total) : given_grad;
  // Of one example the C++ operator reads the first target.
  const Tensor index = (input.dim() == 1 && target.dim() > 0 ? target.select(0, 0) : target).unsqueeze(channel);
  const Tensor counts = index.ne(ignore_index.expect_int());
  const Tensor ones = at::scatter(at::zeros_like(input), channel, at::where(counts, index, 0), -1.0);
  if (input.dim() > grad.dim() && grad.dim() > 0) grad = grad.unsqueeze(channel);
  if (weight && weight->defined()) grad = grad.mul(shaped(*weight, input));
  return ones.mul(at::where(counts, grad, 0));
}

void install_vmap_rules() {
  static const torch::Library library = [] {
    torch::Library rules(torch::Library::IMPL, "aten", c10::DispatchKey::FuncTorchBatched, __FILE__, __LINE__);
    rules.impl("nll_loss_forward", nll_loss_forward);
    rules.impl("nll_loss2d_forward", nll_loss_forward);
    rules.impl("nll_loss_backward", nll_loss_backward);
    rules.impl("nll_loss2d_backward", nll_loss_backward);
    rules.impl("mse_loss_backward", mse_loss_backward);
    rules.impl("smooth_l1_loss_backward", smooth_l1_loss_backward);
    rules.impl("huber_loss_backward", huber_loss_backward);
    rules.impl("addr", addr);
    return rules;
  }();
}

}  // namespace trainhost::autograd
