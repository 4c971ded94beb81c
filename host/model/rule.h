// What an optimizer does with its parameters: one class for each, in a file of its own (optimizer_NAME.cpp).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/model/number.h"

namespace trainhost::model {

using Tensors = std::vector<at::Tensor>;

// The hyperparameters of one group as they are now. Errors for values of another type name the key.
class Hyper {
 public:
  virtual ~Hyper() = default;
  virtual Number number(const char* key) const = 0;
  virtual Number number(const char* key, int index) const = 0;    // of a list, 0-based
  virtual double or_nan(const char* key, int index) const = 0;    // the same; None: NaN
  virtual bool flag(const char* key) const = 0;                   // absent: false
  virtual std::optional<bool> choice(const char* key) const = 0;  // absent: neither was chosen
  virtual std::string text(const char* key) const = 0;            // absent: ""
};

// Parameters of one device and dtype that step together, as the lists that kernels take.
struct Batch {
  Tensors parameters, gradients;
  std::vector<Tensors> states;  // by the rule's state names
  bool is_first = false;        // no state before this step
};

// A value that the rule keeps for each parameter, under PyTorch's name.
struct State {
  enum class Kind : unsigned char { scalar, count, like_parameter, other };
  const char* name;
  Kind kind;
};

class Rule {
 public:
  virtual ~Rule() = default;
  virtual const char* title() const = 0;  // as PyTorch's messages name it
  virtual const std::vector<State>& states() const = 0;
  virtual bool has_fused() const { return false; }
  virtual bool has_foreach() const { return true; }
  virtual bool prefers_foreach() const { return has_foreach(); }  // on a GPU, where the user did not choose
  virtual bool takes_sparse() const { return false; }
  virtual bool takes_dense() const { return true; }
  virtual bool takes_complex() const { return true; }
  virtual bool views_complex_as_real() const { return true; }
  virtual const char* instead_of_sparse() const { return ""; }

  void read_all(const Hyper& hyper);  // and the options that all have
  bool maximize = false, capturable = false, differentiable = false;
  std::optional<bool> foreach_chosen, fused_chosen;
  Number lr;

  // Makes the states that this parameter lacks and this step needs: zeros, where the rule has no others.
  virtual void begin(const at::Tensor& parameter, const at::Tensor& gradient, Tensors& state, bool fused) const;
  // The lists that this step reads, as bits: a batch is made anew when they change.
  virtual unsigned wanted() const { return ~0u; }
  virtual void single(Batch& batch, size_t i) = 0;
  virtual void multi(Batch& batch);
  virtual void fused(Batch& batch, const std::optional<at::Tensor>& grad_scale,
                     const std::optional<at::Tensor>& found_inf);

 protected:
  virtual void read(const Hyper& hyper) = 0;
  // zeros_like of the parameter.
  static void zeros_for(at::Tensor& state, const at::Tensor& like);
  // The number 0, or `value`, of the dtype that PyTorch gives a step counter: on the parameter's device for a captured
  // or fused step.
  at::Tensor counter(const at::Tensor& parameter, bool fused, double value = 0) const;
  // The gradient to go down by: negated where the objective is maximized, with the weights' decay.
  at::Tensor gradient(const Batch& batch, size_t i, const Number& weight_decay = {}) const;
  // All of them; `is_own`: they may be written to.
  Tensors gradients(const Batch& batch, const Number& weight_decay, bool* is_own = nullptr) const;
  void check_capturable(const Batch& batch, size_t i, const Tensors& steps, bool supports_xla = true) const;
  void check_capturable(const Batch& batch, const Tensors& steps, bool supports_xla = false) const;
};

// With averages of the gradient and of its size, whose betas are plain numbers.
class AveragingRule : public Rule {
 protected:
  void read(const Hyper& hyper) override;
  double beta1_ = 0, beta2_ = 0, eps_ = 0;
};

// Adds one.
void count(at::Tensor& step);
void count(Tensors& steps);
// The same for a fused step: counters of a state that another kind of step began come to the parameters' device, and
// go back by one where a step on another device found an infinity.
void count_fused(Batch& batch, Tensors& steps);
void take_back(const Batch& batch, Tensors& steps, const std::optional<at::Tensor>& found_inf);
// x *= n, x /= n for lists.
void scale(Tensors& list, const Number& n);
void divide(Tensors& list, const Number& n);
// The value of `value(step)` for each.
template <class Value>
std::vector<at::Scalar> scalars(const Tensors& steps, Value value) {
  std::vector<at::Scalar> out;
  out.reserve(steps.size());
  for (const at::Tensor& step : steps) out.emplace_back(value(value_of(step)));
  return out;
}

// A file registers its rule: `const Registration<Adam> registration("adam");`
using MakeRule = std::unique_ptr<Rule> (*)();
void register_rule(const char* name, MakeRule make);
template <class R>
struct Registration {
  explicit Registration(const char* name) {
    register_rule(name, []() -> std::unique_ptr<Rule> { return std::make_unique<R>(); });
  }
};
// Usage error for an unknown name.
std::unique_ptr<Rule> make_rule(const std::string& name);

}  // namespace trainhost::model
