// Adagrad.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/sparse_coo_tensor.h>

#include "host/base/error.h"
#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kSum };

class Adagrad final : public Rule {
 public:
  const char* title() const override { return "Adagrad"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::scalar}, {"sum", State::Kind::like_parameter}};
    return all;
  }
  bool has_fused() const override { return true; }
  bool takes_sparse() const override { return true; }

  void read(const Hyper& hyper) override {
    lr_decay_ = hyper.number("lr_decay").value();
    weight_decay_ = hyper.number("weight_decay");
    eps_ = hyper.number("eps").value();
    initial_ = hyper.number("initial_accumulator_value").value();
  }

  void begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool fused) const override {
    if (!state[kStep].defined()) state[kStep] = counter(parameter, fused);
    if (state[kSum].defined()) return;
    const at::Scalar initial =
        parameter.is_complex() ? at::Scalar(c10::complex<double>(initial_, initial_)) : at::Scalar(initial_);
    state[kSum] = at::full_like(parameter, initial, {}, at::MemoryFormat::Preserve);
  }

  void single(Batch& b, size_t i) override {
    at::Tensor &p = b.parameters[i], &sum = b.states[kSum][i], &step_t = b.states[kStep][i];
    count(step_t);
    if (b.gradients[i].is_sparse() && weight_decay_.value() != 0)
      throw_usage("weight_decay option is not compatible with sparse gradients");
    const at::Tensor g = gradient(b, i, weight_decay_);
    const at::Scalar rate = (-(lr / (1 + (value_of(step_t) - 1) * lr_decay_))).scalar();
    if (g.is_sparse()) return sparse(p, sum, g, rate);
    sum.addcmul_(g, g, 1);
    const at::Tensor deviation = differentiable ? sum.sqrt().add(eps_) : sum.sqrt().add_(eps_);
    p.addcdiv_(g, deviation, rate);
  }

  void multi(Batch& b) override {
    for (const at::Tensor& g : b.gradients)
      if (g.is_sparse()) {
        for (size_t i = 0; i < b.parameters.size(); ++i) single(b, i);
        return;
      }
    Tensors& steps = b.states[kStep];
    count(steps);
    bool is_own = false;
    Tensors g = gradients(b, weight_decay_, &is_own);
    const double rate = lr.value();
    const auto rates = scalars(steps, [&](double step) { return -rate / (1 + (step - 1) * lr_decay_); });
    at::_foreach_addcmul_(b.states[kSum], g, g, 1);
    Tensors deviation = at::_foreach_sqrt(b.states[kSum]);
    at::_foreach_add_(deviation, eps_);
    if (is_own) at::_foreach_mul_(g, rates);
    else g = at::_foreach_mul(g, rates);
    at::_foreach_addcdiv_(b.parameters, g, deviation);
  }

  void fused(Batch& b, const std::optional<at::Tensor>& grad_scale,
             const std::optional<at::Tensor>& found_inf) override {
    Tensors& steps = b.states[kStep];
    count_fused(b, steps);
    at::_fused_adagrad_(b.parameters, b.gradients, b.states[kSum], steps, lr.value(), lr_decay_, weight_decay_.value(),
                        eps_, maximize, grad_scale, found_inf);
    take_back(b, steps, found_inf);
  }

 private:
  // The update is not linear, so indices must be unique.
  void sparse(at::Tensor& p, at::Tensor& sum, const at::Tensor& gradient, const at::Scalar& rate) const {
    const at::Tensor g = gradient.coalesce(), indices = g._indices(), values = g._values();
    const auto with = [&](const at::Tensor& v) { return at::sparse_coo_tensor(indices, v, g.sizes()); };
    sum.add_(with(values.pow(2)));
    const at::Tensor deviation = sum.sparse_mask(g)._values().sqrt_().add_(eps_);
    p.add_(with(values.div(deviation)), rate);
  }

  double lr_decay_ = 0, eps_ = 0, initial_ = 0;
  Number weight_decay_;
};

const Registration<Adagrad> registration("adagrad");

}  // namespace
}  // namespace trainhost::model
