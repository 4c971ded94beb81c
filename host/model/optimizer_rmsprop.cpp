// RMSprop, plain or centered, with momentum.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kSquare, kMomentum, kAverage };

class RmsProp final : public Rule {
 public:
  const char* title() const override { return "RMSprop"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"square_avg", State::Kind::like_parameter},
                                           {"momentum_buffer", State::Kind::like_parameter},
                                           {"grad_avg", State::Kind::like_parameter}};
    return all;
  }
  unsigned wanted() const override { return (momentum_ > 0) + 2 * is_centered_; }

  void read(const Hyper& hyper) override {
    alpha_ = hyper.number("alpha").value();
    eps_ = hyper.number("eps").value();
    weight_decay_ = hyper.number("weight_decay");
    momentum_ = hyper.number("momentum").value();
    is_centered_ = hyper.flag("centered");
  }

  void begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool) const override {
    if (!state[kStep].defined()) state[kStep] = counter(parameter, false);
    zeros_for(state[kSquare], parameter);
    if (momentum_ > 0) zeros_for(state[kMomentum], parameter);
    if (is_centered_) zeros_for(state[kAverage], parameter);
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &square = b.states[kSquare][i];
    count(b.states[kStep][i]);
    const at::Tensor g = gradient(b, i, weight_decay_);
    scale(square, alpha_).addcmul_(g, g, 1 - alpha_);
    at::Tensor root;
    if (is_centered_) {
      at::Tensor& average = b.states[kAverage][i];
      average.lerp_(g, 1 - alpha_);
      root = square.addcmul(average, average, -1).sqrt_();
    } else {
      root = square.sqrt();
    }
    if (differentiable) root = root.add(eps_);
    else root.add_(eps_);
    if (momentum_ > 0) {
      at::Tensor& buffer = b.states[kMomentum][i];
      scale(buffer, momentum_).addcdiv_(g, root);
      p.add_(buffer, (-lr).scalar());
    } else {
      p.addcdiv_(g, root, (-lr).scalar());
    }
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep], true);
    Tensors &p = b.parameters, &square = b.states[kSquare], &average = b.states[kAverage];
    count(b.states[kStep]);
    const Tensors g = gradients(b, weight_decay_);
    at::_foreach_mul_(square, alpha_);
    at::_foreach_addcmul_(square, g, g, 1 - alpha_);
    Tensors root;
    if (is_centered_) {
      at::_foreach_lerp_(average, g, 1 - alpha_);
      root = at::_foreach_addcmul(square, average, average, -1);
      at::_foreach_sqrt_(root);
    } else {
      root = at::_foreach_sqrt(square);
    }
    at::_foreach_add_(root, eps_);
    const bool keeps_tensor = capturable && lr.is_tensor();
    if (momentum_ > 0) {
      Tensors& buffer = b.states[kMomentum];
      at::_foreach_mul_(buffer, momentum_);
      at::_foreach_addcdiv_(buffer, g, root);
      if (keeps_tensor) at::_foreach_add_(p, at::_foreach_mul(buffer, (-lr).tensor()));
      else at::_foreach_add_(p, buffer, (-lr).scalar());
    } else if (keeps_tensor) {
      at::_foreach_div_(root, (-lr).tensor());
      at::_foreach_addcdiv_(p, g, root);
    } else {
      at::_foreach_addcdiv_(p, g, root, (-lr).scalar());
    }
  }

 private:
  double alpha_ = 0, eps_ = 0, momentum_ = 0;
  Number weight_decay_;
  bool is_centered_ = false;
};

const Registration<RmsProp> registration("rmsprop");

}  // namespace
}  // namespace trainhost::model
