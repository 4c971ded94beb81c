// Rule: what all optimizers share.
#include "host/model/rule.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_neg.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/DefaultDtype.h>

#include <map>

#include "host/base/error.h"

namespace trainhost::model {
namespace {

std::map<std::string, MakeRule>& rules() {
  static std::map<std::string, MakeRule> all;
  return all;
}

bool is_capturable(const at::Tensor& parameter, const at::Tensor& step, bool supports_xla) {
  const auto type = parameter.device().type();
  return type == step.device().type() && (type == at::kCUDA || type == at::kXPU || type == at::kHPU ||
                                          type == at::kPrivateUse1 || (supports_xla && type == at::kXLA));
}

[[noreturn]] void throw_not_capturable(bool supports_xla) {
  throw_usage(std::string("If capturable=True, params and state_steps must be on supported devices: ['cuda', 'xpu', "
                          "'hpu', 'privateuseone'") +
              (supports_xla ? ", 'xla']." : "]."));
}

}  // namespace

void register_rule(const char* name, MakeRule make) { rules()[name] = make; }

std::unique_ptr<Rule> make_rule(const std::string& name) {
  const auto found = rules().find(name);
  if (found == rules().end()) throw_usage("no optimizer rule is called '" + name + "'");
  return found->second();
}

void Rule::read_all(const Hyper& hyper) {
  maximize = hyper.flag("maximize");
  capturable = hyper.flag("capturable");
  differentiable = hyper.flag("differentiable");
  foreach_chosen = hyper.choice("foreach");
  fused_chosen = has_fused() ? hyper.choice("fused") : std::nullopt;
  lr = hyper.number("lr").squeezed();
  read(hyper);
}

void Rule::multi(Batch&) { throw_usage("foreach is not supported for " + std::string(title())); }

void Rule::fused(Batch&, const std::optional<at::Tensor>&, const std::optional<at::Tensor>&) {
  throw_usage("fused is not supported for " + std::string(title()));
}

void Rule::zeros_for(at::Tensor& state, const at::Tensor& like) {
  if (!state.defined()) state = at::zeros_like(like, {}, at::MemoryFormat::Preserve);
}

void Rule::begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool fused) const {
  for (size_t i = 0; i < states().size(); ++i) {
    const State::Kind kind = states()[i].kind;
    if (kind == State::Kind::like_parameter) zeros_for(state[i], parameter);
    else if (!state[i].defined())
      state[i] = kind == State::Kind::count ? at::zeros({}, at::kLong) : counter(parameter, fused && has_fused());
  }
}

at::Tensor Rule::counter(const at::Tensor& parameter, bool fused, double value) const {
  const bool is_double = !fused && c10::get_default_dtype_as_scalartype() == at::kDouble;
  return at::full({}, value,
                  at::TensorOptions()
                      .dtype(is_double ? at::kDouble : at::kFloat)
                      .device(fused || capturable ? parameter.device() : at::Device(at::kCPU)));
}

at::Tensor Rule::gradient(const Batch& batch, size_t i, const Number& weight_decay) const {
  at::Tensor gradient = maximize ? batch.gradients[i].neg() : batch.gradients[i];
  if (weight_decay.is_tensor() && weight_decay.tensor().requires_grad())
    return gradient.addcmul(batch.parameters[i].clone(), weight_decay.tensor());
  const double decay = weight_decay.value();
  return decay != 0 ? gradient.add(batch.parameters[i], decay) : gradient;
}

Tensors Rule::gradients(const Batch& batch, const Number& weight_decay, bool* is_own) const {
  const double decay = weight_decay.value();
  if (is_own) *is_own = maximize || decay != 0;
  if (!maximize) return decay != 0 ? at::_foreach_add(batch.gradients, batch.parameters, decay) : batch.gradients;
  Tensors negated = at::_foreach_neg(batch.gradients);
  if (decay != 0) at::_foreach_add_(negated, batch.parameters, decay);
  return negated;
}

void Rule::check_capturable(const Batch& batch, size_t i, const Tensors& steps, bool supports_xla) const {
  if (capturable && !is_capturable(batch.parameters[i], steps[i], supports_xla)) throw_not_capturable(supports_xla);
}

void Rule::check_capturable(const Batch& batch, const Tensors& steps, bool supports_xla) const {
  for (size_t i = 0; capturable && i < steps.size(); ++i) check_capturable(batch, i, steps, supports_xla);
}

void AveragingRule::read(const Hyper& hyper) {
  beta1_ = hyper.number("betas", 0).value();
  beta2_ = hyper.number("betas", 1).value();
  eps_ = hyper.number("eps").value();
}

// Counting through the dispatcher is half the time of a fused step for a hundred small tensors.
void count(at::Tensor& step) {
  if (step.is_cpu() && step.scalar_type() == at::kFloat) *step.mutable_data_ptr<float>() += 1.0f;
  else step.add_(1);
}

void count(Tensors& steps) {
  if (steps.empty()) return;
  if (!steps[0].is_cpu()) return at::_foreach_add_(steps, 1);
  for (at::Tensor& step : steps) count(step);
}

void count_fused(Batch& batch, Tensors& steps) {
  for (at::Tensor& step : steps)
    if (step.device() != batch.parameters[0].device() || step.scalar_type() != at::kFloat)
      step.set_data(step.to(batch.parameters[0].device(), at::kFloat));
  count(steps);
}

void take_back(const Batch& batch, Tensors& steps, const std::optional<at::Tensor>& found_inf) {
  if (found_inf && !batch.parameters[0].is_cpu()) at::_foreach_sub_(steps, Tensors(steps.size(), *found_inf));
}

void scale(Tensors& list, const Number& n) {
  if (n.is_tensor()) at::_foreach_mul_(list, n.tensor());
  else at::_foreach_mul_(list, n.scalar());
}

void divide(Tensors& list, const Number& n) {
  if (n.is_tensor()) at::_foreach_div_(list, n.tensor());
  else at::_foreach_div_(list, n.scalar());
}

}  // namespace trainhost::model
