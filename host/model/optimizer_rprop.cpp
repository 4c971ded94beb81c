// Rprop: resilient backpropagation.
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kPrevious, kSize };

class Rprop final : public Rule {
 public:
  const char* title() const override { return "Rprop"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar},
                                           {"prev", State::Kind::like_parameter},
                                           {"step_size", State::Kind::like_parameter}};
    return all;
  }

  void read(const Hyper& hyper) override {
    less_ = hyper.number("etas", 0).value();
    more_ = hyper.number("etas", 1).value();
    least_ = hyper.number("step_sizes", 0).value();
    most_ = hyper.number("step_sizes", 1).value();
  }

  void begin(const at::Tensor& parameter, const at::Tensor& gradient, Tensors& state, bool) const override {
    if (!state[kStep].defined()) state[kStep] = counter(parameter, false);
    zeros_for(state[kPrevious], parameter);
    if (state[kSize].defined()) return;
    const double rate = lr.value();
    const at::Scalar size = parameter.is_complex() ? at::Scalar(c10::complex<double>(rate, rate)) : at::Scalar(rate);
    state[kSize] = at::full_like(gradient, size);
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &previous = b.states[kPrevious][i], &size = b.states[kSize][i];
    count(b.states[kStep][i]);
    at::Tensor g = gradient(b, i);
    at::Tensor sign = g.mul(differentiable ? previous.clone() : previous).sign();
    factors(sign);
    size.mul_(sign).clamp_(least_, most_);
    g = g.clone(at::MemoryFormat::Preserve);
    if (capturable) g.copy_(at::where(sign.eq(less_), 0, g));
    else g.masked_fill_(sign.eq(less_), 0);
    b.parameters[i].addcmul_(g.sign(), size, -1);
    previous.copy_(g);
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep], true);
    Tensors &previous = b.states[kPrevious], &sizes = b.states[kSize];
    count(b.states[kStep]);
    Tensors signs = at::_foreach_mul(b.gradients, previous);
    if (maximize) at::_foreach_neg_(signs);
    at::_foreach_copy_(previous, b.gradients);
    if (maximize) at::_foreach_neg_(previous);
    at::_foreach_sign_(signs);
    for (at::Tensor& sign : signs) factors(sign);
    at::_foreach_mul_(sizes, signs);
    Tensors directions;
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i].clamp_(least_, most_);
      previous[i].copy_(at::where(signs[i].eq(less_), 0, previous[i]));
      directions.push_back(previous[i].sign());
    }
    at::_foreach_addcmul_(b.parameters, directions, sizes, -1);
  }

 private:
  // What the step sizes are multiplied by, in place of the signs.
  void factors(at::Tensor& sign) const {
    if (capturable) {
      sign.copy_(at::where(sign.gt(0), more_, sign));
      sign.copy_(at::where(sign.lt(0), less_, sign));
      sign.copy_(at::where(sign.eq(0), 1, sign));
    } else {
      sign.masked_fill_(sign.gt(0), more_);
      sign.masked_fill_(sign.lt(0), less_);
      sign.masked_fill_(sign.eq(0), 1);
    }
  }

  double less_ = 0, more_ = 0, least_ = 0, most_ = 0;
};

const Registration<Rprop> registration("rprop");

}  // namespace
}  // namespace trainhost::model
