// Adafactor: second moments of matrices in factors.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_rsqrt.h>
#include <ATen/ops/norm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kRows, kColumns, kVariance };

double epsilon_of(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return std::numeric_limits<double>::epsilon();
    case at::kHalf:
      return std::ldexp(1.0, -10);
    case at::kBFloat16:
      return std::ldexp(1.0, -7);
    default:
      return std::numeric_limits<float>::epsilon();
  }
}

double root_mean_square(const at::Tensor& x) { return x.norm(2).item<double>() / std::pow(double(x.numel()), 0.5); }

class Adafactor final : public Rule {
 public:
  const char* title() const override { return "Adafactor"; }
  const std::vector<State>& states() const override {
    using Kind = State::Kind;
    static const std::vector<State> all = {
        {"step", Kind::scalar}, {"row_var", Kind::other}, {"col_var", Kind::other}, {"variance", Kind::other}};
    return all;
  }
  bool takes_complex() const override { return false; }
  bool prefers_foreach() const override { return false; }

  void read(const Hyper& hyper) override {
    beta2_decay_ = hyper.number("beta2_decay").value();
    eps1_ = hyper.or_nan("eps", 0);
    eps2_ = hyper.or_nan("eps", 1);
    d_ = hyper.number("d").value();
    weight_decay_ = hyper.number("weight_decay").value();
  }

  void begin(const at::Tensor& parameter, const at::Tensor& gradient, Tensors& state, bool) const override {
    if (!state[kStep].defined()) state[kStep] = counter(parameter, false);
    if (gradient.dim() < 2) return zeros_for(state[kVariance], gradient);
    const auto with_one = [&](int64_t dim) {
      std::vector<int64_t> shape = gradient.sizes().vec();
      shape[gradient.dim() + dim] = 1;
      return gradient.new_zeros(shape);
    };
    if (!state[kRows].defined()) state[kRows] = with_one(-1);
    if (!state[kColumns].defined()) state[kColumns] = with_one(-2);
  }

  void single(Batch& b, size_t i) override {
    at::Tensor &p = b.parameters[i], &step_t = b.states[kStep][i];
    const at::Tensor g = gradient(b, i);
    count(step_t);
    const double eps1 = first_epsilon(p), step = value_of(step_t), weight = std::pow(step, beta2_decay_);
    const Number size = step_size(p, step);
    if (weight_decay_ != 0) scale(p, 1 - lr * weight_decay_);
    at::Tensor estimate;
    if (g.dim() > 1) {
      at::Tensor &rows = b.states[kRows][i], &columns = b.states[kColumns][i];
      rows.lerp_(at::norm(g, 2, {-1}, true).square_().div_(g.size(-1)), weight);
      columns.lerp_(at::norm(g, 2, {-2}, true).square_().div_(g.size(-2)), weight);
      estimate = rows.matmul(columns);
      estimate.div_(rows.mean({-2}, true).clamp_min_(eps1));
    } else {
      at::Tensor& variance = b.states[kVariance][i];
      variance.lerp_(g.mul(g), weight);
      estimate = variance.clone();
    }
    at::Tensor update = estimate.clamp_min_(eps1 * eps1).rsqrt_();
    update.mul_(g);
    p.add_(update, (-size / clipping(update)).scalar());
  }

  void multi(Batch& b) override {
    Batch matrices, vectors;
    for (Batch* half : {&matrices, &vectors}) half->states.resize(b.states.size());
    for (size_t i = 0; i < b.parameters.size(); ++i) {
      Batch& into = b.gradients[i].dim() > 1 ? matrices : vectors;
      into.parameters.push_back(b.parameters[i]);
      into.gradients.push_back(b.gradients[i]);
      for (size_t k = 0; k < b.states.size(); ++k) into.states[k].push_back(b.states[k][i]);
    }
    if (!matrices.parameters.empty()) multi(matrices, true);
    if (!vectors.parameters.empty()) multi(vectors, false);
  }

 private:
  double first_epsilon(const at::Tensor& p) const { return std::isnan(eps1_) ? epsilon_of(p.scalar_type()) : eps1_; }
  // Of a rate that is a tensor a tensor, compared and multiplied in its dtype, where it is the smaller one.
  Number step_size(const at::Tensor& p, double step) const {
    const double highest = 1 / std::pow(step, 0.5);
    const bool is_above = lr.is_tensor() ? lr.tensor().gt(highest).item<bool>() : highest < lr.value();
    return std::max(eps2_, root_mean_square(p)) * (is_above ? Number(highest) : lr);
  }
  double clipping(const at::Tensor& update) const {
    return std::max(1.0, update.norm(2).item<double>() / (std::pow(double(update.numel()), 0.5) * d_));
  }

  void multi(Batch& b, bool are_matrices) {
    Tensors &p = b.parameters, &steps = b.states[kStep];
    const Tensors g = gradients(b, 0);
    count(steps);
    const double eps1 = first_epsilon(p[0]);
    const auto weights = scalars(steps, [&](double step) { return std::pow(step, beta2_decay_); });
    std::vector<Number> step_sizes;
    for (size_t i = 0; i < p.size(); ++i) step_sizes.push_back(step_size(p[i], value_of(steps[i])));
    if (weight_decay_ != 0) scale(p, 1 - lr * weight_decay_);
    Tensors estimates;
    if (are_matrices) {
      const auto means = [&](int64_t dim) {
        Tensors out;
        std::vector<at::Scalar> counts;
        for (const at::Tensor& each : g) {
          out.push_back(at::norm(each, 2, {dim}, true));
          counts.emplace_back(each.size(dim));
        }
        at::_foreach_mul_(out, out);
        at::_foreach_div_(out, counts);
        return out;
      };
      at::_foreach_lerp_(b.states[kRows], means(-1), weights);
      at::_foreach_lerp_(b.states[kColumns], means(-2), weights);
      Tensors row_means;
      for (size_t i = 0; i < p.size(); ++i) {
        estimates.push_back(b.states[kRows][i].matmul(b.states[kColumns][i]));
        row_means.push_back(b.states[kRows][i].mean({-2}, true));
      }
      at::_foreach_clamp_min_(row_means, eps1);
      at::_foreach_div_(estimates, row_means);
    } else {
      at::_foreach_lerp_(b.states[kVariance], at::_foreach_mul(g, g), weights);
      for (const at::Tensor& variance : b.states[kVariance]) estimates.push_back(variance.clone());
    }
    at::_foreach_clamp_min_(estimates, eps1 * eps1);
    at::_foreach_rsqrt_(estimates);
    at::_foreach_mul_(estimates, g);
    std::vector<at::Scalar> sizes;
    for (size_t i = 0; i < p.size(); ++i) {
      const Number size = -step_sizes[i] / clipping(estimates[i]);
      if (lr.is_tensor()) scale(estimates[i], size);
      else sizes.emplace_back(size.scalar());
    }
    if (!lr.is_tensor()) at::_foreach_mul_(estimates, sizes);
    at::_foreach_add_(p, estimates);
  }

  double beta2_decay_ = 0, eps1_ = 0, eps2_ = 0, d_ = 1, weight_decay_ = 0;
};

const Registration<Adafactor> registration("adafactor");

}  // namespace
}  // namespace trainhost::model
