// Optimizer: which parameters step together, and their state.
#include "host/model/optimizer.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <sstream>
#include <unordered_set>

#include "host/base/error.h"

namespace trainhost::model {
namespace {

at::Tensor new_step(const at::Tensor& parameter) {
  return at::zeros({}, at::TensorOptions().dtype(at::kFloat).device(parameter.device()));
}

// The kernels walk parameter, gradient and state by memory position, so all need the parameter's strides.
at::Tensor in_layout_of(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (gradient.layout() != at::kStrided)
    throw_usage("this optimizer does not support sparse gradients, got a gradient of layout " +
                std::string(gradient.layout() == at::kSparse ? "sparse" : "not strided"));
  if (gradient.strides() == parameter.strides() && gradient.scalar_type() == parameter.scalar_type()) return gradient;
  at::Tensor same = at::empty_like(parameter);
  same.copy_(gradient);
  return same;
}

bool is_set(const at::Tensor& flag) { return flag.defined() && flag.is_cpu() && flag.item<float>() != 0.0f; }

}  // namespace

void Optimizer::add_group(std::vector<at::Tensor> parameters) {
  std::unordered_set<const c10::TensorImpl*> known;
  for (const Group& group : groups_)
    for (const Slot& slot : group.slots) known.insert(slot.parameter.unsafeGetTensorImpl());
  const size_t in_other_groups = known.size();
  Group group;
  for (at::Tensor& parameter : parameters) {
    if (!parameter.is_leaf()) throw_usage("can't optimize a non-leaf Tensor");
    if (!parameter.is_floating_point())
      throw Error(ErrorKind::dtype, std::string("expected parameters of a floating point dtype, got ") +
                                        c10::toString(parameter.scalar_type()));
    if (!parameter.is_non_overlapping_and_dense())
      throw_usage("expected parameters that own their memory without gaps, got a strided or expanded view",
                  "use .contiguous() before making it a Parameter");
    if (!known.insert(parameter.unsafeGetTensorImpl()).second)
      throw_usage(in_other_groups ? "some parameters appear in more than one parameter group"
                                  : "a parameter appears twice in one parameter group");
    group.slots.push_back({std::move(parameter), {}, {}, {}, {}});
  }
  groups_.push_back(std::move(group));
}

void Optimizer::make_buckets(Group& group, bool wide) {
  group.buckets.clear();
  for (size_t i = 0; i < group.slots.size(); ++i) {
    if (!group.has_gradient[i]) continue;
    Slot& slot = group.slots[i];
    const at::Tensor& p = slot.parameter;
    bool first_step = false;
    if (rule_ == Rule::sgd) {
      first_step = wide && !slot.first.defined();
      if (first_step) slot.first = at::zeros_like(p);
    } else {
      if (!slot.step.defined()) {
        slot.step = new_step(p);
        slot.first = at::zeros_like(p);
        slot.second = at::zeros_like(p);
      }
      if (wide && !slot.largest.defined()) slot.largest = at::zeros_like(p);
    }
    Bucket* into = nullptr;
    for (Bucket& bucket : group.buckets)
      if (bucket.parameters[0].device() == p.device() && bucket.parameters[0].scalar_type() == p.scalar_type() &&
          bucket.is_first_step == first_step)
        into = &bucket;
    if (!into) into = &group.buckets.emplace_back();
    into->is_first_step = first_step;
    into->slots.push_back(i);
    into->parameters.push_back(p);
    if (rule_ == Rule::sgd) {
      if (wide) into->first.push_back(slot.first);
      continue;
    }
    into->steps.push_back(slot.step);
    into->first.push_back(slot.first);
    into->second.push_back(slot.second);
    if (wide) into->largest.push_back(slot.largest);
  }
  group.wide = wide;
  group.stale = false;
}

void Optimizer::step(size_t index, const Hyper& hyper, const at::Tensor& found_inf, const at::Tensor& grad_scale) {
  Group& group = groups_.at(index);
  if (is_set(found_inf)) return;
  c10::NoGradGuard no_grad;
  const bool wide = rule_ == Rule::sgd ? hyper.momentum != 0 : hyper.amsgrad;
  if (group.has_gradient.size() != group.slots.size()) {
    group.has_gradient.assign(group.slots.size(), false);
    group.stale = true;
  }
  for (size_t i = 0; i < group.slots.size(); ++i) {
    const bool has = group.slots[i].parameter.grad().defined();
    if (has != group.has_gradient[i]) {
      group.has_gradient[i] = has;
      group.stale = true;
    }
  }
  for (const Bucket& bucket : group.buckets)
    for (size_t i = 0; i < bucket.slots.size(); ++i)  // a parameter may have moved since
      if (bucket.parameters[i].device() != bucket.parameters[0].device() ||
          bucket.parameters[i].scalar_type() != bucket.parameters[0].scalar_type())
        group.stale = true;
  if (group.stale || group.wide != wide) make_buckets(group, wide);
  for (Bucket& bucket : group.buckets) {
    for (const at::Tensor& parameter : bucket.parameters)
      bucket.gradients.push_back(in_layout_of(parameter, parameter.grad()));
    step_bucket(bucket, hyper, found_inf, grad_scale);
    bucket.gradients.clear();  // so that zero_grad frees them
    if (bucket.is_first_step) group.stale = true;
  }
}

void Optimizer::step_bucket(Bucket& b, const Hyper& h, const at::Tensor& found_inf, const at::Tensor& grad_scale) {
  const auto optional = [&](const at::Tensor& t) {
    return t.defined() ? std::optional<at::Tensor>(t.to(b.parameters[0].device(), /*non_blocking=*/true))
                       : std::nullopt;
  };
  const std::optional<at::Tensor> skip = optional(found_inf), scale = optional(grad_scale);
  if (rule_ == Rule::sgd) {
    at::_fused_sgd_(b.parameters, b.gradients, b.first, h.weight_decay, h.momentum, h.lr, h.dampening, h.nesterov,
                    h.maximize, b.is_first_step, scale, skip);
    return;
  }
  // Counting through the dispatcher is half the time of a step for a hundred small tensors.
  const bool on_cpu = b.parameters[0].is_cpu();
  if (on_cpu)
    for (const at::Tensor& step : b.steps) *step.mutable_data_ptr<float>() += 1.0f;
  else at::_foreach_add_(b.steps, 1);
  const auto kernel = rule_ == Rule::adam
                          ? static_cast<decltype(&at::_ops::_fused_adam_::call)>(&at::_ops::_fused_adam_::call)
                          : static_cast<decltype(&at::_ops::_fused_adam_::call)>(&at::_ops::_fused_adamw_::call);
  kernel(b.parameters, b.gradients, b.first, b.second, b.largest, b.steps, h.lr, h.beta1, h.beta2, h.weight_decay,
         h.eps, h.amsgrad, h.maximize, scale, skip);
  if (skip && !on_cpu) at::_foreach_sub_(b.steps, std::vector<at::Tensor>(b.steps.size(), *skip));
}

void Optimizer::zero_grad(bool set_to_none) {
  c10::NoGradGuard no_grad;
  for (Group& group : groups_)
    for (Slot& slot : group.slots) {
      at::Tensor& gradient = slot.parameter.mutable_grad();
      if (!gradient.defined()) continue;
      if (set_to_none) gradient.reset();
      else gradient.detach_().zero_();
    }
}

Optimizer::Slot& Optimizer::slot_at(size_t index) {
  for (Group& group : groups_) {
    if (index < group.slots.size()) return group.slots[index];
    index -= group.slots.size();
  }
  throw_usage("no parameter with that index in this optimizer");
}

NamedTensors Optimizer::state(size_t index) const {
  const Slot& slot = const_cast<Optimizer*>(this)->slot_at(index);
  NamedTensors out;
  const auto add = [&](const char* name, const at::Tensor& value) {
    if (value.defined()) out.emplace_back(name, value);
  };
  add("step", slot.step);
  add(rule_ == Rule::sgd ? "momentum_buffer" : "exp_avg", slot.first);
  add("exp_avg_sq", slot.second);
  add("max_exp_avg_sq", slot.largest);
  return out;
}

void Optimizer::set_state(size_t index, const NamedTensors& state) {
  c10::NoGradGuard no_grad;
  Slot& slot = slot_at(index);
  for (const auto& [name, value] : state) {
    at::Tensor* into = nullptr;
    if (rule_ == Rule::sgd) {
      if (name == "momentum_buffer") into = &slot.first;
    } else {
      if (name == "step") into = &slot.step;
      if (name == "exp_avg") into = &slot.first;
      if (name == "exp_avg_sq") into = &slot.second;
      if (name == "max_exp_avg_sq") into = &slot.largest;
    }
    if (!into) throw_usage("optimizer state '" + name + "' does not belong to this optimizer");
    at::Tensor fresh = name == "step" ? new_step(slot.parameter) : at::empty_like(slot.parameter);
    if (fresh.numel() != value.numel() || (name != "step" && fresh.sizes() != value.sizes())) {
      std::ostringstream text;
      text << "optimizer state '" << name << "' of parameter " << index << ": expected shape " << fresh.sizes()
           << ", got " << value.sizes();
      throw Error(ErrorKind::shape, text.str());
    }
    fresh.copy_(value.reshape(fresh.sizes()));
    *into = std::move(fresh);
  }
  for (Group& group : groups_) group.stale = true;
}

}  // namespace trainhost::model
