// ASGD: averaged stochastic gradient descent.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_pow.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/DefaultDtype.h>

#include <algorithm>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kEta, kMu, kAverage };

// A number goes through the default dtype, which a state that was loaded need not have: PyTorch makes a tensor of it
// first.
void assign(at::Tensor& into, const Number& value) {
  const at::ScalarType type = c10::get_default_dtype_as_scalartype();
  if (value.is_tensor()) into.copy_(value.tensor());
  else if (into.scalar_type() == type) into.fill_(value.scalar());
  else into.copy_(at::scalar_tensor(value.scalar(), at::dtype(type)));
}

class Asgd final : public Rule {
 public:
  const char* title() const override { return "ASGD"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"eta", State::Kind::scalar},
                                           {"mu", State::Kind::scalar},
                                           {"ax", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    lambd_ = hyper.number("lambd").value();
    alpha_ = hyper.number("alpha").value();
    t0_ = hyper.number("t0").value();
    weight_decay_ = hyper.number("weight_decay");
  }

  void begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool) const override {
    const auto on_device = [&](double value) { return counter(parameter, false, value).to(parameter.device()); };
    if (!state[kStep].defined()) state[kStep] = on_device(0);
    if (!state[kEta].defined()) state[kEta] = on_device(lr.value());
    if (!state[kMu].defined()) state[kMu] = on_device(1);
    zeros_for(state[kAverage], parameter);
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &eta = b.states[kEta][i], &mu = b.states[kMu][i], &step = b.states[kStep][i];
    at::Tensor& average = b.states[kAverage][i];
    count(step);
    const at::Tensor g = gradient(b, i, weight_decay_);
    if (capturable) {
      p.mul_((1 - lambd_ * Number(eta)).tensor());
      p.addcmul_(g, eta, -1);
      average.add_(p.sub(average).mul_(mu));
      eta.copy_((lr / pow(1 + lambd_ * lr * Number(step), alpha_)).tensor());
      mu.copy_((1 / Number(at::maximum(step.sub(t0_), at::ones_like(step)))).tensor());
      return;
    }
    const double rate = value_of(eta), now = value_of(step);
    scale(p, 1 - lambd_ * rate);
    p.add_(g, -rate);
    if (value_of(mu) != 1) average.add_(p.sub(average).mul_(mu));
    else average.copy_(p);
    assign(eta, lr / pow(1 + lambd_ * lr * now, alpha_));
    assign(mu, 1 / std::max(1.0, now - t0_));
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &p = b.parameters, &etas = b.states[kEta], &mus = b.states[kMu], &averages = b.states[kAverage];
    Tensors& steps = b.states[kStep];
    count(steps);
    bool is_own = false;
    Tensors g = gradients(b, weight_decay_, &is_own);
    if (weight_decay_.value() != 0) at::_foreach_add_(g, p, lambd_);
    else g = at::_foreach_add(g, p, lambd_);
    at::_foreach_addcmul_(p, g, etas, -1);
    at::_foreach_addcmul_(averages, at::_foreach_sub(p, averages), mus);
    if (capturable) {
      Tensors new_mus = at::_foreach_sub(steps, t0_);
      at::_foreach_maximum_(new_mus, 1.0);
      at::_foreach_reciprocal_(new_mus);
      at::_foreach_copy_(mus, new_mus);
      Tensors new_etas = at::_foreach_mul(steps, lambd_);
      scale(new_etas, lr);
      at::_foreach_add_(new_etas, 1);
      at::_foreach_pow_(new_etas, alpha_);
      at::_foreach_reciprocal_(new_etas);
      scale(new_etas, lr);
      at::_foreach_copy_(etas, new_etas);
      return;
    }
    for (size_t i = 0; i < steps.size(); ++i) {  // in the counter's dtype, as PyTorch's
      assign(etas[i], lr / pow(1 + lambd_ * lr * Number(steps[i]), alpha_));
      assign(mus[i], 1 / std::max(1.0, value_of(steps[i]) - t0_));
    }
  }

 private:
  double lambd_ = 0, alpha_ = 0, t0_ = 0;
  Number weight_decay_;
};

const Registration<Asgd> registration("asgd");

}  // namespace
}  // namespace trainhost::model
