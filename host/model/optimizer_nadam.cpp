// NAdam: Adam with Nesterov's momentum.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_pow.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_foreach_sub.h>

#include <cmath>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kProduct, kFirst, kSecond };

class NAdam final : public AveragingRule {
 public:
  const char* title() const override { return "NAdam"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"mu_product", State::Kind::scalar},
                                           {"exp_avg", State::Kind::like_parameter},
                                           {"exp_avg_sq", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    AveragingRule::read(hyper);
    weight_decay_ = hyper.number("weight_decay");
    momentum_decay_ = hyper.number("momentum_decay").value();
    is_decoupled_ = hyper.flag("decoupled_weight_decay");
  }

  void begin(const at::Tensor& parameter, const at::Tensor& gradient, Tensors& state, bool fused) const override {
    if (!state[kProduct].defined()) state[kProduct] = counter(parameter, false, 1);
    Rule::begin(parameter, gradient, state, fused);
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &m = b.states[kFirst][i], &v = b.states[kSecond][i];
    at::Tensor &step_t = b.states[kStep][i], &product = b.states[kProduct][i];
    count(step_t);
    const Number step = capturable ? Number(step_t) : Number(value_of(step_t));
    const Number correction = 1 - pow(beta2_, step);
    if (is_decoupled_ && weight_decay_.value() != 0) scale(p, 1 - lr * weight_decay_);
    const at::Tensor g = gradient(b, i, is_decoupled_ ? Number(0) : weight_decay_);
    const Number mu = beta1_ * (1 - 0.5 * pow(0.96, step * momentum_decay_));
    const Number next = beta1_ * (1 - 0.5 * pow(0.96, (step + 1) * momentum_decay_));
    scale(product, mu);
    m.lerp_(g, 1 - beta1_);
    scale(v, beta2_).addcmul_(g, g, 1 - beta2_);
    at::Tensor root = over(v, correction).sqrt();
    if (differentiable || capturable) {
      root = root.add(eps_);
      const Number product_next = Number(product) * next;
      p.addcdiv_(times(g, -lr * (1 - mu) / (1 - Number(product))), root);
      p.addcdiv_(times(m, -lr * next / (1 - product_next)), root);
    } else {
      const double now = value_of(product);
      root.add_(eps_);
      p.addcdiv_(g, root, (-lr * (1 - mu) / (1 - now)).scalar());
      p.addcdiv_(m, root, (-lr * next / (1 - now * next)).scalar());
    }
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &p = b.parameters, &m = b.states[kFirst], &v = b.states[kSecond];
    Tensors &steps = b.states[kStep], &products = b.states[kProduct];
    count(steps);
    if (is_decoupled_ && weight_decay_.value() != 0) scale(p, 1 - lr * weight_decay_);
    const Tensors g = gradients(b, is_decoupled_ ? Number(0) : weight_decay_);
    at::_foreach_lerp_(m, g, 1 - beta1_);
    at::_foreach_mul_(v, beta2_);
    at::_foreach_addcmul_(v, g, g, 1 - beta2_);
    Tensors root = at::_foreach_sqrt(v);
    if (capturable) return captured(b, g, root);
    const double rate = lr.value();
    const auto momentum = [&](double t) { return beta1_ * (1.0 - 0.5 * std::pow(0.96, t * momentum_decay_)); };
    const auto mus = scalars(steps, momentum);
    at::_foreach_mul_(products, mus);
    at::_foreach_div_(root, scalars(steps, [&](double t) { return std::pow(1 - std::pow(beta2_, t), 0.5); }));
    at::_foreach_add_(root, eps_);
    std::vector<at::Scalar> of_gradient, of_average;
    for (size_t i = 0; i < steps.size(); ++i) {
      const double now = value_of(products[i]), next = momentum(value_of(steps[i]) + 1);
      of_gradient.emplace_back(rate * (1.0 - mus[i].toDouble()) / (1.0 - now) * -1);
      of_average.emplace_back(rate * next / (1.0 - now * next) * -1);
    }
    at::_foreach_addcdiv_(p, g, root, of_gradient);
    at::_foreach_addcdiv_(p, m, root, of_average);
  }

 private:
  void captured(Batch& b, const Tensors& g, Tensors& root) const {
    Tensors &steps = b.states[kStep], &products = b.states[kProduct];
    const auto momentum = [&](const Tensors& exponent) {
      Tensors out = at::_foreach_pow(0.96, exponent);
      at::_foreach_mul_(out, -0.5);
      at::_foreach_add_(out, 1.0);
      at::_foreach_mul_(out, beta1_);
      return out;
    };
    Tensors exponent = at::_foreach_mul(steps, momentum_decay_);
    Tensors mus = momentum(exponent);
    at::_foreach_add_(exponent, momentum_decay_);
    Tensors nexts = momentum(exponent);
    Tensors correction = at::_foreach_pow(beta2_, steps);
    at::_foreach_sub_(correction, 1.0);
    at::_foreach_neg_(correction);
    at::_foreach_sqrt_(correction);
    at::_foreach_mul_(products, mus);
    at::_foreach_div_(root, correction);
    at::_foreach_add_(root, eps_);
    at::_foreach_sub_(mus, 1.0);
    scale(mus, lr);
    Tensors denominator = at::_foreach_sub(products, 1.0);
    at::_foreach_neg_(denominator);
    at::_foreach_div_(mus, denominator);
    denominator = at::_foreach_mul(products, nexts);
    scale(nexts, lr);
    at::_foreach_sub_(denominator, 1.0);
    at::_foreach_div_(nexts, denominator);
    Tensors numerator = at::_foreach_mul(mus, g);
    at::_foreach_addcmul_(numerator, nexts, b.states[kFirst]);
    at::_foreach_addcdiv_(b.parameters, numerator, root);
  }

  double momentum_decay_ = 0;
  Number weight_decay_;
  bool is_decoupled_ = false;
};

const Registration<NAdam> registration("nadam");

}  // namespace
}  // namespace trainhost::model
