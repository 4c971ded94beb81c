// RAdam: Adam with a rectified variance.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_pow.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kFirst, kSecond };

class RAdam final : public AveragingRule {
 public:
  const char* title() const override { return "RAdam"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"exp_avg", State::Kind::like_parameter},
                                           {"exp_avg_sq", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    AveragingRule::read(hyper);
    weight_decay_ = hyper.number("weight_decay");
    is_decoupled_ = hyper.flag("decoupled_weight_decay");
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &m = b.states[kFirst][i], &v = b.states[kSecond][i], &step_t = b.states[kStep][i];
    count(step_t);
    const Number step = capturable ? Number(step_t) : Number(value_of(step_t));
    if (is_decoupled_ && weight_decay_.value() != 0) scale(p, 1 - lr * weight_decay_);
    const at::Tensor g = gradient(b, i, is_decoupled_ ? Number(0) : weight_decay_);
    m.lerp_(g, 1 - beta1_);
    scale(v, beta2_).addcmul_(g, g, 1 - beta2_);
    const Number correction2 = 1 - pow(beta2_, step);
    const at::Tensor corrected = times(over(m, 1 - pow(beta1_, step)), lr);
    const double longest = 2 / (1 - beta2_) - 1;
    const Number length = longest - 2 * step * pow(beta2_, step) / correction2;
    const auto adaptive = [&] {
      const at::Tensor root = differentiable ? v.sqrt().add(eps_) : v.sqrt().add_(eps_);
      return (pow(correction2, 0.5) / Number(root)).tensor();
    };
    const auto rectified = [&] {
      return pow((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length), 0.5);
    };
    if (capturable) {
      const at::Tensor update = at::where(length.tensor().gt(5.0), times(adaptive(), rectified()), 1.0);
      p.add_(corrected.mul(update), -1.0);
    } else if (length.value() > 5.0) {
      p.add_(times(corrected.mul(adaptive()), rectified()), -1.0);
    } else {
      p.add_(corrected, -1.0);
    }
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &p = b.parameters, &m = b.states[kFirst], &v = b.states[kSecond], &steps = b.states[kStep];
    count(steps);
    if (is_decoupled_ && weight_decay_.value() != 0) scale(p, 1 - lr * weight_decay_);
    const Tensors g = gradients(b, is_decoupled_ ? Number(0) : weight_decay_);
    at::_foreach_lerp_(m, g, 1 - beta1_);
    at::_foreach_mul_(v, beta2_);
    at::_foreach_addcmul_(v, g, g, 1 - beta2_);
    Tensors buffer = at::_foreach_sqrt(v);
    at::_foreach_add_(buffer, eps_);
    if (capturable) {
      Tensors plain, rectified;
      captured(steps, plain, rectified);
      at::_foreach_div_(buffer, rectified);
      at::_foreach_reciprocal_(buffer);
      at::_foreach_add_(buffer, plain);
    } else {
      std::vector<at::Scalar> plain, rectified;
      for (const at::Tensor& step : steps) sizes(value_of(step), plain, rectified);
      at::_foreach_div_(buffer, rectified);
      at::_foreach_reciprocal_(buffer);
      at::_foreach_add_(buffer, plain);
    }
    at::_foreach_addcmul_(p, m, buffer);
  }

 private:
  void sizes(double t, std::vector<at::Scalar>& plain, std::vector<at::Scalar>& rectified) const {
    const double longest = 2 / (1 - beta2_) - 1, rate = lr.value();
    const double length = longest - 2 * t * std::pow(beta2_, t) / (1 - std::pow(beta2_, t));
    const double rect =
        length > 5 ? std::pow((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length), 0.5)
                   : 0;
    const double correction1 = 1 - std::pow(beta1_, t);
    plain.emplace_back(rate * (rect > 0 ? 0.0 : 1.0) / correction1 * -1);
    rectified.emplace_back(std::pow(1 - std::pow(beta2_, t), 0.5) * (rate * rect / correction1) * -1);
  }

  void captured(const Tensors& steps, Tensors& plain, Tensors& rectified) const {
    const double longest = 2 / (1 - beta2_) - 1;
    const auto correction = [&](double beta) {
      Tensors out = at::_foreach_pow(beta, steps);
      at::_foreach_neg_(out);
      at::_foreach_add_(out, 1);
      return out;
    };
    Tensors length = at::_foreach_pow(beta2_, steps);
    at::_foreach_mul_(length, steps);
    at::_foreach_mul_(length, 2);
    at::_foreach_div_(length, correction(beta2_));
    at::_foreach_neg_(length);
    at::_foreach_add_(length, longest);
    Tensors rect = at::_foreach_sub(length, 4);
    at::_foreach_mul_(rect, at::_foreach_sub(length, 2));
    at::_foreach_mul_(rect, longest);
    at::_foreach_div_(rect, at::_foreach_mul(length, (longest - 4) * (longest - 2)));
    at::_foreach_sqrt_(rect);
    for (size_t i = 0; i < rect.size(); ++i) {
      rect[i] = at::where(length[i].gt(5.0), rect[i], 0.0);
      plain.push_back(at::where(rect[i].gt(0), 0.0, 1.0).to(rect[i].scalar_type()));
    }
    const Tensors correction1 = correction(beta1_);
    scale(plain, lr);
    at::_foreach_div_(plain, correction1);
    at::_foreach_neg_(plain);
    rectified = correction(beta2_);
    at::_foreach_sqrt_(rectified);
    scale(rectified, lr);
    at::_foreach_mul_(rectified, rect);
    at::_foreach_neg_(rectified);
    at::_foreach_div_(rectified, correction1);
  }

  Number weight_decay_;
  bool is_decoupled_ = false;
};

const Registration<RAdam> registration("radam");

}  // namespace
}  // namespace trainhost::model
