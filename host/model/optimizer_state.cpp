// Optimizer: the state of its parameters, read and set by name.
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>

#include <sstream>

#include "host/base/error.h"
#include "host/model/optimizer.h"

namespace trainhost::model {

Optimizer::Slot& Optimizer::slot_at(size_t index) {
  for (Group& group : groups_) {
    if (index < group.slots.size()) return group.slots[group.slots[index].first];
    index -= group.slots.size();
  }
  throw_usage("no parameter with that index in this optimizer");
}

size_t Optimizer::state_index(const std::string& name) const {
  const std::vector<State>& states = rule_->states();
  for (size_t k = 0; k < states.size(); ++k)
    if (name == states[k].name) return k;
  throw_usage("optimizer state '" + name + "' does not belong to this optimizer");
}

NamedTensors Optimizer::state(size_t index) const {
  const Slot& slot = const_cast<Optimizer*>(this)->slot_at(index);
  NamedTensors out;
  for (size_t k = 0; k < slot.state.size(); ++k)
    if (slot.state[k].defined()) out.emplace_back(rule_->states()[k].name, slot.state[k]);
  return out;
}

void Optimizer::fit(at::Tensor& into, size_t k, const at::Tensor& value, const at::Tensor& parameter,
                    bool with_steps) const {
  const State& state = rule_->states()[k];
  const bool is_step = std::string(state.name) == "step";
  if (state.kind == State::Kind::count) {
    into = value.reshape({}).to(at::kCPU, at::kLong, /*non_blocking=*/false, /*copy=*/true);
  } else if (is_step) {
    into = with_steps ? value.reshape({}).to(parameter.device(), at::kFloat, false, true) : value.reshape({}).clone();
  } else {
    const at::ScalarType type = parameter.is_floating_point() ? parameter.scalar_type() : value.scalar_type();
    into = value.to(parameter.device(), type, false, true);
    // The fused kernels need the parameter's strides; a sparse gradient's momentum has none.
    if (state.kind == State::Kind::like_parameter && into.layout() == at::kStrided &&
        into.strides() != parameter.strides())
      into = at::empty_like(parameter, into.options()).copy_(into);
  }
}

void Optimizer::set_state(size_t index, const NamedTensors& state, bool with_steps) {
  c10::NoGradGuard no_grad;
  Slot& slot = slot_at(index);
  Tensors fresh(slot.state.size());
  for (const auto& [name, value] : state) {
    const size_t k = state_index(name);
    const State::Kind kind = rule_->states()[k].kind;
    const bool is_scalar = kind == State::Kind::scalar || kind == State::Kind::count;
    if (is_scalar ? value.numel() != 1
                  : kind == State::Kind::like_parameter && value.sizes() != slot.parameter.sizes()) {
      std::ostringstream text;
      text << "optimizer state '" << name << "' of parameter " << index << ": expected shape ";
      if (is_scalar) text << "[]";
      else text << slot.parameter.sizes();
      text << ", got " << value.sizes();
      throw Error(ErrorKind::shape, text.str());
    }
    fit(fresh[k], k, value, slot.parameter, with_steps);
  }
  slot.state = std::move(fresh);
  for (Group& group : groups_) group.is_stale = true;
}

}  // namespace trainhost::model
