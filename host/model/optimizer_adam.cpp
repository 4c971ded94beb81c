// Adam and AdamW.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_pow.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/maximum.h>

#include <cmath>

#include "host/base/error.h"
#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kFirst, kSecond, kLargest };

// 1 - beta ^ step for tensors of steps, with its sign turned.
Tensors minus_correction(const Number& beta, const Tensors& steps) {
  Tensors out;
  if (beta.is_tensor())
    for (const at::Tensor& step : steps) out.push_back(beta.tensor().pow(step));
  else out = at::_foreach_pow(beta.scalar(), steps);
  at::_foreach_sub_(out, 1);
  return out;
}

class Adam : public Rule {
 public:
  const char* title() const override { return "Adam"; }
  const std::vector<State>& states() const override {
    using Kind = State::Kind;
    static const std::vector<State> all = {{"step", Kind::scalar},
                                           {"exp_avg", Kind::like_parameter},
                                           {"exp_avg_sq", Kind::like_parameter},
                                           {"max_exp_avg_sq", Kind::like_parameter}};
    return all;
  }
  bool has_fused() const override { return true; }
  const char* instead_of_sparse() const override { return ", please consider SparseAdam instead"; }
  unsigned wanted() const override { return amsgrad_; }

  void read(const Hyper& hyper) override {
    beta1_ = hyper.number("betas", 0).squeezed();
    beta2_ = hyper.number("betas", 1).squeezed();
    eps_ = hyper.number("eps").value();
    weight_decay_ = hyper.number("weight_decay");
    amsgrad_ = hyper.flag("amsgrad");
    is_decoupled_ = hyper.flag("decoupled_weight_decay");
    if (foreach_chosen.value_or(false) && lr.is_tensor() && !capturable)
      throw_usage("lr as a Tensor is not supported for capturable=False and foreach=True");
  }

  void begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool fused) const override {
    if (!state[kStep].defined()) state[kStep] = counter(parameter, fused);
    zeros_for(state[kFirst], parameter);
    zeros_for(state[kSecond], parameter);
    if (amsgrad_) zeros_for(state[kLargest], parameter);
  }

  void single(Batch& b, size_t i) override {
    check_capturable(b, i, b.states[kStep]);
    at::Tensor &p = b.parameters[i], &m = b.states[kFirst][i], &v = b.states[kSecond][i], &step_t = b.states[kStep][i];
    count(step_t);
    if (is_decoupled_ && weight_decay_.value() != 0) scale(p, 1 - lr * weight_decay_);
    const at::Tensor g = gradient(b, i, is_decoupled_ ? Number(0) : weight_decay_);
    if (beta1_.is_tensor()) m.lerp_(g, (1 - Number(beta1_.tensor().to(p.device(), p.scalar_type()))).tensor());
    else m.lerp_(g, 1 - beta1_.value());
    if (differentiable && beta2_.is_tensor() && beta2_.tensor().requires_grad()) {
      v.lerp_(g.square(), (1 - beta2_).tensor());
    } else {
      scale(v, beta2_);
      v.addcmul_(g, g, (1 - beta2_).scalar());
    }
    const bool keeps_tensors = capturable || differentiable;
    const Number step = keeps_tensors ? Number(differentiable ? step_t.clone() : step_t) : Number(value_of(step_t));
    const Number correction1 = 1 - pow(beta1_, step), correction2 = 1 - pow(beta2_, step);
    const Number size = lr / correction1;
    if (amsgrad_) {
      at::Tensor& largest = b.states[kLargest][i];
      if (keeps_tensors) largest.copy_(at::maximum(differentiable ? largest.clone() : largest, v));
      else at::maximum_out(largest, largest, v);
    }
    const at::Tensor root = (amsgrad_ ? b.states[kLargest][i] : v).sqrt();
    if (!keeps_tensors) {
      const at::Tensor denominator = over(root, pow(correction2, 0.5)).add_(eps_);
      p.addcdiv_(m, denominator, (-size).scalar());
      return;
    }
    const at::Tensor negative = (-size).tensor();
    const at::Tensor denominator =
        root.div(correction2.tensor().sqrt().mul(negative)).add_((Number(eps_) / negative).tensor());
    p.addcdiv_(differentiable ? m.clone() : m, denominator);
  }

  void multi(Batch& b) override {
    check_capturable(b, b.states[kStep]);
    Tensors &p = b.parameters, &m = b.states[kFirst], &v = b.states[kSecond], &steps = b.states[kStep];
    count(steps);
    const bool decays = is_decoupled_ && weight_decay_.value() != 0;
    if (decays) scale(p, 1 - lr * weight_decay_);
    const Tensors g = gradients(b, is_decoupled_ ? Number(0) : weight_decay_);
    if (beta1_.is_tensor() && !beta1_.tensor().is_cpu())
      for (size_t i = 0; i < m.size(); ++i) m[i].lerp_(g[i], (1 - beta1_).tensor().to(m[i].device()));
    else at::_foreach_lerp_(m, g, (1 - beta1_).scalar());
    scale(v, beta2_);
    if (beta2_.is_tensor()) {
      Tensors scaled = at::_foreach_mul(g, (1 - beta2_).tensor());
      at::_foreach_addcmul_(v, scaled, g, 1.0);
    } else {
      at::_foreach_addcmul_(v, g, g, 1 - beta2_.value());
    }
    if (amsgrad_) at::_foreach_maximum_(b.states[kLargest], v);
    Tensors root = at::_foreach_sqrt(amsgrad_ ? b.states[kLargest] : v);
    if (!capturable) {
      const double beta1 = beta1_.value(), beta2 = beta2_.value(), rate = lr.value();
      at::_foreach_div_(root, scalars(steps, [&](double t) { return std::pow(1 - std::pow(beta2, t), 0.5); }));
      at::_foreach_add_(root, eps_);
      at::_foreach_addcdiv_(p, m, root, scalars(steps, [&](double t) { return rate / (1 - std::pow(beta1, t)) * -1; }));
      return;
    }
    Tensors size = minus_correction(beta1_, steps), correction2 = minus_correction(beta2_, steps);
    at::_foreach_neg_(correction2);
    divide(size, lr);
    at::_foreach_reciprocal_(size);
    at::_foreach_sqrt_(correction2);
    at::_foreach_div_(root, correction2);
    at::_foreach_add_(root, eps_);
    at::_foreach_div_(root, size);
    at::_foreach_addcdiv_(p, m, root);
  }

  void fused(Batch& b, const std::optional<at::Tensor>& grad_scale,
             const std::optional<at::Tensor>& found_inf) override {
    Tensors& steps = b.states[kStep];
    count_fused(b, steps);
    static const Tensors none;
    const Tensors& largest = amsgrad_ ? b.states[kLargest] : none;
    const double beta1 = beta1_.value(), beta2 = beta2_.value(), decay = weight_decay_.value();
    const auto call = [&](auto kernel, const auto& rate) {
      kernel(b.parameters, b.gradients, b.states[kFirst], b.states[kSecond], largest, steps, rate, beta1, beta2, decay,
             eps_, amsgrad_, maximize, grad_scale, found_inf);
    };
    if (lr.is_tensor() && !lr.tensor().is_cpu()) {
      const at::Tensor rate = lr.tensor().to(b.parameters[0].device(), /*non_blocking=*/true);
      if (is_decoupled_) call(&at::_ops::_fused_adamw__tensor_lr::call, rate);
      else call(&at::_ops::_fused_adam__tensor_lr::call, rate);
    } else if (is_decoupled_) {
      call(&at::_ops::_fused_adamw_::call, lr.value());
    } else {
      call(&at::_ops::_fused_adam_::call, lr.value());
    }
    take_back(b, steps, found_inf);
  }

 private:
  Number beta1_, beta2_, weight_decay_;
  double eps_ = 0;
  bool amsgrad_ = false, is_decoupled_ = false;
};

const Registration<Adam> registration("adam");

}  // namespace
}  // namespace trainhost::model
