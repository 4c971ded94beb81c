// Adamax: Adam with the infinity norm.
#include <ATen/ops/_foreach_abs.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_pow.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>

#include <cmath>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kFirst, kLargest };

class Adamax final : public AveragingRule {
 public:
  const char* title() const override { return "Adamax"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"exp_avg", State::Kind::like_parameter},
                                           {"exp_inf", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    AveragingRule::read(hyper);
    weight_decay_ = hyper.number("weight_decay");
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &m = b.states[kFirst][i], &u = b.states[kLargest][i], &step = b.states[kStep][i];
    count(step);
    const at::Tensor g = gradient(b, i, weight_decay_);
    m.lerp_(g, 1 - beta1_);
    if (differentiable)
      u.copy_(at::amax(at::cat({scale(u, beta2_).unsqueeze(0), g.abs().add_(eps_).unsqueeze_(0)}), 0));
    else at::maximum_out(u, scale(u, beta2_), g.abs().add_(eps_));
    if (capturable) {
      const at::Tensor correction = (pow(beta1_, Number(step)) - 1).tensor();
      if (lr.is_tensor()) correction.div_(lr.tensor());
      else correction.div_(lr.scalar());
      p.addcdiv_(m, u.mul(correction));
    } else {
      p.addcdiv_(m, u, (-(lr / (1 - std::pow(beta1_, value_of(step))))).scalar());
    }
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &m = b.states[kFirst], &u = b.states[kLargest], &steps = b.states[kStep];
    count(steps);
    bool is_own = false;
    Tensors g = gradients(b, weight_decay_, &is_own);
    at::_foreach_lerp_(m, g, 1 - beta1_);
    at::_foreach_mul_(u, beta2_);
    if (is_own) at::_foreach_abs_(g);
    else g = at::_foreach_abs(g);
    at::_foreach_add_(g, eps_);
    at::_foreach_maximum_(u, g);
    if (capturable) {
      Tensors corrections = at::_foreach_pow(beta1_, steps);
      at::_foreach_sub_(corrections, 1);
      divide(corrections, lr);
      at::_foreach_addcdiv_(b.parameters, m, at::_foreach_mul(u, corrections));
    } else {
      const double rate = lr.value();
      at::_foreach_addcdiv_(b.parameters, m, u,
                            scalars(steps, [&](double step) { return rate / (1 - std::pow(beta1_, step)) * -1; }));
    }
  }

 private:
  Number weight_decay_;
};

const Registration<Adamax> registration("adamax");

}  // namespace
}  // namespace trainhost::model
