// SGD, Adam and AdamW on LibTorch's fused kernels: one call for all parameters of a device and dtype.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace trainhost::model {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

enum class Rule : unsigned char { sgd, adam, adamw };

// What a step reads; each rule reads its own (Adam and AdamW: lr, betas, eps, weight_decay, amsgrad, maximize).
struct Hyper {
  double lr = 1e-3;
  double weight_decay = 0, momentum = 0, dampening = 0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool nesterov = false, amsgrad = false, maximize = false;
};

// Bit-equal with PyTorch's optimizers under fused=True. Not for use from two threads at once.
class Optimizer {
 public:
  explicit Optimizer(Rule rule) : rule_(rule) {}
  Rule rule() const noexcept { return rule_; }

  // Parameters of one group, floating point leaves that are in no group yet; usage error otherwise.
  void add_group(std::vector<at::Tensor> parameters);
  size_t group_count() const noexcept { return groups_.size(); }

  // One step of the group's parameters that have a gradient. `found_inf` and `grad_scale` are one-element float
  // tensors or undefined: the step is skipped where found_inf is 1, gradients are divided by grad_scale.
  void step(size_t group, const Hyper& hyper, const at::Tensor& found_inf = {}, const at::Tensor& grad_scale = {});
  void zero_grad(bool set_to_none);

  // The state of a parameter, counted over all groups in order, under PyTorch's names: step, exp_avg,
  // exp_avg_sq, max_exp_avg_sq or momentum_buffer. Empty before its first step. Shares memory.
  NamedTensors state(size_t index) const;
  // Copies; usage error for an unknown name, shape error for another shape.
  void set_state(size_t index, const NamedTensors& state);

 private:
  struct Slot {
    at::Tensor parameter, step, first, second, largest;  // first: exp_avg or momentum_buffer; second: exp_avg_sq
  };
  // Parameters that one kernel call updates, as the lists that it takes.
  struct Bucket {
    std::vector<size_t> slots;
    std::vector<at::Tensor> parameters, gradients, steps, first, second, largest;
    bool is_first_step = false;
  };
  struct Group {
    std::vector<Slot> slots;
    std::vector<bool> has_gradient;  // for which the buckets were made
    std::vector<Bucket> buckets;
    bool stale = true;
    bool wide = false;  // made with momentum (SGD) or amsgrad (Adam)
  };

  void make_buckets(Group& group, bool wide);
  void step_bucket(Bucket& bucket, const Hyper& hyper, const at::Tensor& found_inf, const at::Tensor& grad_scale);
  Slot& slot_at(size_t index);

  Rule rule_;
  std::vector<Group> groups_;
};

}  // namespace trainhost::model
