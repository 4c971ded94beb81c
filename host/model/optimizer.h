// An optimizer: groups of parameters, their state, and one rule that steps those of a device and dtype together.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/model/rule.h"

namespace trainhost::model {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Bit-equal with PyTorch's optimizers on the same kernels. Where nothing was chosen these are fused ones if the rule
// has them and all parameters are float32 or float64: the last bit is what differs there, in half precision fused
// kernels round less often and end up elsewhere. Else as PyTorch chooses between _foreach_ and one parameter after
// another. Not for two threads at once.
class Optimizer {
 public:
  explicit Optimizer(const std::string& rule) : rule_(make_rule(rule)) {}

  // Leaves of a floating point or complex dtype that are in no other group; usage error otherwise. Where steps are
  // differentiable, others than leaves too. One that the list has twice steps twice, on one state.
  void add_group(std::vector<at::Tensor> parameters, bool differentiable);
  size_t group_count() const noexcept { return groups_.size(); }

  // One step of the group's parameters that have a gradient. `found_inf` and `grad_scale` are one-element float
  // tensors or undefined: the step is skipped where found_inf is 1, gradients are divided by grad_scale.
  void step(size_t group, const Hyper& hyper, const at::Tensor& found_inf = {}, const at::Tensor& grad_scale = {});
  void zero_grad(bool set_to_none);
  // Makes the state of parameters that have none yet, for a rule that starts with it.
  void begin(size_t group, const Hyper& hyper);

  // The state of a parameter, counted over all groups in order, under PyTorch's names; empty before its first step.
  // Shares memory.
  NamedTensors state(size_t index) const;
  // In place of the one there was: copies in the parameter's dtype and on its device (a step counter keeps its own
  // unless `with_steps`). Usage error for an unknown name, shape error for another shape.
  void set_state(size_t index, const NamedTensors& state, bool with_steps);

 private:
  enum class Path : unsigned char { single, multi, fused };
  struct Slot {
    at::Tensor parameter;
    size_t first;   // the slot in its group that has the state: this one, or that of the same parameter before it
    Tensors state;  // by the rule's names, undefined where it has none
  };
  struct Part {
    Batch batch;
    std::vector<size_t> slots;
  };
  struct Group {
    std::vector<Slot> slots;
    std::vector<bool> has_gradient;  // for which the parts were made
    std::vector<Part> parts;
    bool is_stale = true, has_repeats = false;
    Path path = Path::single;
    unsigned wanted = 0;
  };

  Path choose(const Group& group) const;
  void look(Group& group);
  void make_parts(Group& group);
  void step_part(Group& group, Part& part, const at::Tensor& found_inf, const at::Tensor& grad_scale);
  void fit_states(Batch& batch) const;
  size_t state_index(const std::string& name) const;
  void fit(at::Tensor& into, size_t k, const at::Tensor& value, const at::Tensor& parameter, bool with_steps) const;
  Slot& slot_at(size_t index);

  std::unique_ptr<Rule> rule_;
  std::vector<Group> groups_;
};

}  // namespace trainhost::model
