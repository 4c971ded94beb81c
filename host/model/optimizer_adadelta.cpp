// Adadelta.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kSquare, kDelta };

class Adadelta final : public Rule {
 public:
  const char* title() const override { return "Adadelta"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"square_avg", State::Kind::like_parameter},
                                           {"acc_delta", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    rho_ = hyper.number("rho").value();
    eps_ = hyper.number("eps").value();
    weight_decay_ = hyper.number("weight_decay");
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep], false);
    at::Tensor &square = b.states[kSquare][i], &total = b.states[kDelta][i];
    count(b.states[kStep][i]);
    const at::Tensor g = gradient(b, i, weight_decay_);
    scale(square, rho_).addcmul_(g, g, 1 - rho_);
    const at::Tensor deviation = square.add(eps_).sqrt_();
    at::Tensor delta = total.add(eps_).sqrt_();
    if (differentiable) delta = delta.clone();
    delta.div_(deviation).mul_(g);
    scale(total, rho_).addcmul_(delta, delta, 1 - rho_);
    b.parameters[i].add_(delta, (-lr).scalar());
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &square = b.states[kSquare], &total = b.states[kDelta];
    count(b.states[kStep]);
    const Tensors g = gradients(b, weight_decay_);
    at::_foreach_mul_(square, rho_);
    at::_foreach_addcmul_(square, g, g, 1 - rho_);
    Tensors deviation = at::_foreach_add(square, eps_);
    at::_foreach_sqrt_(deviation);
    Tensors delta = at::_foreach_add(total, eps_);
    at::_foreach_sqrt_(delta);
    at::_foreach_div_(delta, deviation);
    at::_foreach_mul_(delta, g);
    at::_foreach_mul_(total, rho_);
    at::_foreach_addcmul_(total, delta, delta, 1 - rho_);
    if (capturable && lr.is_tensor()) {
      at::_foreach_mul_(delta, (-lr).tensor());
      at::_foreach_add_(b.parameters, delta);
    } else {
      at::_foreach_add_(b.parameters, delta, (-lr).scalar());
    }
  }

 private:
  double rho_ = 0, eps_ = 0;
  Number weight_decay_;
};

const Registration<Adadelta> registration("adadelta");

}  // namespace
}  // namespace trainhost::model
