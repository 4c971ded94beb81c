// Optimizer: which parameters step together, and how.
#include "host/model/optimizer.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/view_as_real.h>
#include <c10/core/AutogradState.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "host/base/error.h"
#include "host/model/gradients.h"

namespace trainhost::model {
namespace {

bool is_set(const at::Tensor& flag) { return flag.defined() && flag.is_cpu() && flag.item<float>() != 0.0f; }

bool has_kernels(const at::Tensor& parameter) {
  return parameter.is_floating_point() && (parameter.is_cpu() || parameter.is_cuda()) &&
         parameter.layout() == at::kStrided;
}

bool fuses_unasked(const at::Tensor& parameter) {
  return has_kernels(parameter) && (parameter.scalar_type() == at::kFloat || parameter.scalar_type() == at::kDouble);
}

// Fused kernels walk parameter, gradient and state by memory position, so all need the parameter's strides.
at::Tensor in_layout_of(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (gradient.strides() == parameter.strides() && gradient.scalar_type() == parameter.scalar_type()) return gradient;
  at::Tensor same = at::empty_like(parameter);
  same.copy_(gradient);
  return same;
}

void view_as_real(Tensors& list) {
  for (at::Tensor& tensor : list)
    if (tensor.defined() && tensor.is_complex()) tensor = at::view_as_real(tensor);
}

}  // namespace

void Optimizer::add_group(std::vector<at::Tensor> parameters, bool differentiable) {
  std::unordered_set<const c10::TensorImpl*> others;
  for (const Group& group : groups_)
    for (const Slot& slot : group.slots) others.insert(slot.parameter.unsafeGetTensorImpl());
  std::unordered_map<const c10::TensorImpl*, size_t> own;
  Group group;
  for (at::Tensor& parameter : parameters) {
    if (!differentiable && !parameter.is_leaf() && !parameter.retains_grad())
      throw_usage("can't optimize a non-leaf Tensor");
    if (!parameter.is_floating_point() && !parameter.is_complex())
      throw Error(ErrorKind::dtype, std::string("expected parameters of a floating point or complex dtype, got ") +
                                        c10::toString(parameter.scalar_type()));
    if (others.count(parameter.unsafeGetTensorImpl()))
      throw_usage("some parameters appear in more than one parameter group");
    const auto [first, is_new] = own.emplace(parameter.unsafeGetTensorImpl(), group.slots.size());
    group.has_repeats = group.has_repeats || !is_new;
    group.slots.push_back({std::move(parameter), first->second, Tensors(is_new ? rule_->states().size() : 0)});
  }
  groups_.push_back(std::move(group));
}

Optimizer::Path Optimizer::choose(const Group& group) const {
  const Rule& rule = *rule_;
  const auto all = [&](auto accept) {
    for (size_t i = 0; i < group.slots.size(); ++i)
      if (group.has_gradient[i] && !accept(group.slots[i].parameter)) return false;
    return true;
  };
  const auto is_dense = [](const at::Tensor& p) {
    return p.grad().layout() == at::kStrided && p.is_non_overlapping_and_dense();
  };
  if (rule.foreach_chosen.value_or(false)) {
    if (rule.differentiable) throw_usage("_foreach ops don't support autograd");
    return Path::multi;
  }
  if (rule.fused_chosen.value_or(false)) {
    for (const Slot& slot : group.slots) {
      const at::Tensor& p = slot.parameter;
      if (!has_kernels(p))
        throw_usage(std::string("`fused=True` requires all the params to be floating point Tensors of supported "
                                "devices: ['cpu', 'cuda'] but ") +
                    c10::toString(p.scalar_type()) + " and " + c10::DeviceTypeName(p.device().type(), true));
      if (p.grad().defined() && !is_dense(p))
        throw_usage(std::string("`_fused_") + (std::string(rule.title()) == "SGD" ? "sgd" : "adagrad") +
                    "` does not support sparse gradients");
    }
    return Path::fused;
  }
  const bool is_open = !rule.foreach_chosen && !rule.fused_chosen && !rule.differentiable;
  if (!is_open) return Path::single;
  if (rule.has_fused() && !rule.capturable && !rule.lr.is_tensor() && !group.has_repeats &&
      all([&](const at::Tensor& p) { return fuses_unasked(p) && is_dense(p); }))
    return Path::fused;
  if (rule.prefers_foreach() && (rule.capturable || !rule.lr.is_tensor()) &&
      all([](const at::Tensor& p) { return p.is_cuda() || p.is_xpu(); }))
    return Path::multi;
  return Path::single;
}

// Which parameters have gradients, and whether the rule takes these.
void Optimizer::look(Group& group) {
  if (group.has_gradient.size() != group.slots.size()) {
    group.has_gradient.assign(group.slots.size(), false);
    group.is_stale = true;
  }
  for (size_t i = 0; i < group.slots.size(); ++i) {
    const at::Tensor& p = group.slots[i].parameter;
    const at::Tensor& gradient = p.grad();
    if (gradient.defined() != group.has_gradient[i]) {
      group.has_gradient[i] = gradient.defined();
      group.is_stale = true;
    }
    if (!gradient.defined()) continue;
    const std::string title = rule_->title();
    if (p.is_complex() && !rule_->takes_complex()) throw_usage(title + " does not support complex parameters");
    if (gradient.is_sparse() ? !rule_->takes_sparse() : !rule_->takes_dense())
      throw_usage(title + " does not support " + (gradient.is_sparse() ? "sparse" : "dense") + " gradients" +
                  rule_->instead_of_sparse());
  }
}

void Optimizer::make_parts(Group& group) {
  group.parts.clear();
  const size_t states = rule_->states().size();
  std::vector<bool> is_new(group.slots.size());
  for (size_t i = 0; i < group.slots.size(); ++i) {
    if (!group.has_gradient[i]) continue;
    Slot& slot = group.slots[group.slots[i].first];
    const at::Tensor& p = slot.parameter;
    if (group.slots[i].first == i)  // a parameter that comes again comes as it came first
      is_new[i] = std::none_of(slot.state.begin(), slot.state.end(), [](const at::Tensor& t) { return t.defined(); });
    const bool is_first = is_new[group.slots[i].first];
    rule_->begin(p, p.grad(), slot.state, group.path == Path::fused);
    Part* into = nullptr;
    for (Part& part : group.parts)
      if (part.batch.parameters[0].device() == p.device() &&
          part.batch.parameters[0].scalar_type() == p.scalar_type() && part.batch.is_first == is_first)
        into = &part;
    if (!into) {
      into = &group.parts.emplace_back();
      into->batch.is_first = is_first;
      into->batch.states.resize(states);
    }
    into->slots.push_back(i);
    into->batch.parameters.push_back(p);
    for (size_t k = 0; k < states; ++k) into->batch.states[k].push_back(slot.state[k]);
  }
  group.is_stale = false;
}

void Optimizer::step(size_t index, const Hyper& hyper, const at::Tensor& found_inf, const at::Tensor& grad_scale) {
  Group& group = groups_.at(index);
  rule_->read_all(hyper);
  if (is_set(found_inf)) return;
  c10::AutoGradMode mode(rule_->differentiable);
  look(group);
  const Path path = choose(group);
  if (path != Path::fused && found_inf.defined() && found_inf.item<float>() != 0.0f) return;
  if (group.path != path || group.wanted != rule_->wanted()) group.is_stale = true;
  for (const Part& part : group.parts)
    for (const at::Tensor& p : part.batch.parameters)  // a parameter may have moved since
      if (p.device() != part.batch.parameters[0].device() || p.scalar_type() != part.batch.parameters[0].scalar_type())
        group.is_stale = true;
  group.path = path;
  group.wanted = rule_->wanted();
  if (group.is_stale) make_parts(group);
  for (Part& part : group.parts) step_part(group, part, found_inf, grad_scale);
}

// A parameter may have got another shape or other strides since its state began; a fused kernel would not see it.
void Optimizer::fit_states(Batch& batch) const {
  const std::vector<State>& states = rule_->states();
  for (size_t i = 0; i < batch.parameters.size(); ++i) {
    const at::Tensor& p = batch.parameters[i];
    const auto check = [&](const char* name, const at::Tensor& other) {
      if (other.sizes() == p.sizes()) return;
      throw Error(ErrorKind::shape,
                  std::string(rule_->title()) + ": the " + name + " of a parameter of shape " + c10::str(p.sizes()) +
                      " has shape " + c10::str(other.sizes()),
                  "an optimizer whose parameters got another shape is made anew");
    };
    check("gradient", p.grad());
    for (size_t k = 0; k < states.size(); ++k) {
      at::Tensor& state = batch.states[k][i];
      if (states[k].kind != State::Kind::like_parameter || !state.defined()) continue;
      check(states[k].name, state);
      if (state.strides() != p.strides()) state.set_data(in_layout_of(p, state));
    }
  }
}

void Optimizer::step_part(Group& group, Part& part, const at::Tensor& found_inf, const at::Tensor& grad_scale) {
  Batch& batch = part.batch;
  const auto optional = [&](const at::Tensor& t) {
    return t.defined() ? std::optional<at::Tensor>(t.to(batch.parameters[0].device(), /*non_blocking=*/true))
                       : std::nullopt;
  };
  if (group.path == Path::fused) fit_states(batch);
  for (const at::Tensor& p : batch.parameters)
    batch.gradients.push_back(group.path == Path::fused ? in_layout_of(p, p.grad()) : p.grad());
  struct Clear {  // so that zero_grad frees them, whatever a step raises
    Tensors& list;
    ~Clear() { list.clear(); }
  } clear{batch.gradients};
  if (group.path == Path::fused) {
    rule_->fused(batch, optional(grad_scale), optional(found_inf));
  } else {
    if (grad_scale.defined())
      for (at::Tensor& gradient : batch.gradients)
        gradient.mul_(grad_scale.to(gradient.device(), at::kDouble).reciprocal().to(at::kFloat));
    std::optional<Batch> real;  // PyTorch's formulas see a complex number as two real ones
    if (batch.parameters[0].is_complex() && rule_->views_complex_as_real()) {
      real = batch;
      view_as_real(real->parameters);
      view_as_real(real->gradients);
      for (Tensors& list : real->states) view_as_real(list);
    }
    Batch& seen = real ? *real : batch;
    if (group.path == Path::multi) {
      rule_->multi(seen);
    } else {
      for (size_t i = 0; i < seen.parameters.size(); ++i) rule_->single(seen, i);
    }
  }
  if (!batch.is_first) return;
  for (size_t k = 0; k < batch.states.size(); ++k)
    for (size_t i = 0; i < part.slots.size(); ++i)
      group.slots[group.slots[part.slots[i]].first].state[k] = batch.states[k][i];
  group.is_stale = true;
}

void Optimizer::begin(size_t index, const Hyper& hyper) {
  c10::NoGradGuard no_grad;
  rule_->read_all(hyper);
  Group& group = groups_.at(index);
  bool fused = rule_->fused_chosen.value_or(!rule_->foreach_chosen && !rule_->differentiable && !group.has_repeats);
  for (const Slot& slot : group.slots)
    fused = fused && (rule_->fused_chosen ? has_kernels(slot.parameter) : fuses_unasked(slot.parameter));
  for (Slot& slot : group.slots) rule_->begin(slot.parameter, slot.parameter, group.slots[slot.first].state, fused);
}

void Optimizer::zero_grad(bool set_to_none) {
  for (const Group& group : groups_)
    for (const Slot& slot : group.slots) clear_gradient(slot.parameter, set_to_none);
}

}  // namespace trainhost::model
