// SGD, with momentum, dampening and Nesterov's variant.
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_fused_sgd.h>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

class Sgd final : public Rule {
 public:
  const char* title() const override { return "SGD"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"momentum_buffer", State::Kind::like_parameter}};
    return all;
  }
  bool has_fused() const override { return true; }
  bool takes_sparse() const override { return true; }
  bool views_complex_as_real() const override { return false; }
  unsigned wanted() const override { return momentum_ != 0; }

  void read(const Hyper& hyper) override {
    weight_decay_ = hyper.number("weight_decay");
    momentum_ = hyper.number("momentum").value();
    dampening_ = hyper.number("dampening").value();
    nesterov_ = hyper.flag("nesterov");
  }

  void begin(const at::Tensor& parameter, const at::Tensor&, Tensors& state, bool fused) const override {
    if (fused && momentum_ != 0) zeros_for(state[0], parameter);  // else the first gradient is the first buffer
  }

  void single(Batch& b, size_t i) override {
    at::Tensor g = gradient(b, i, weight_decay_);
    if (momentum_ != 0) {
      at::Tensor& buffer = b.states[0][i];
      if (!buffer.defined()) buffer = g.detach().clone();
      else scale(buffer, momentum_).add_(g, 1 - dampening_);
      g = nesterov_ ? g.add(buffer, momentum_) : buffer;
    }
    if (lr.is_tensor() && lr.tensor().requires_grad()) b.parameters[i].addcmul_(g, lr.tensor(), -1);
    else b.parameters[i].add_(g, (-lr).scalar());
  }

  void multi(Batch& b) override {
    bool is_sparse = false, has_all = true;
    for (const at::Tensor& g : b.gradients) is_sparse = is_sparse || g.is_sparse();
    bool is_own = false;
    Tensors g = gradients(b, weight_decay_, &is_own);
    if (momentum_ != 0) {
      Tensors& buffers = b.states[0];
      for (const at::Tensor& buffer : buffers) has_all = has_all && buffer.defined();
      if (has_all) {
        at::_foreach_mul_(buffers, momentum_);
        at::_foreach_add_(buffers, g, 1 - dampening_);
      } else {
        for (size_t i = 0; i < buffers.size(); ++i) {
          if (!buffers[i].defined()) buffers[i] = g[i].detach().clone();
          else scale(buffers[i], momentum_).add_(g[i], 1 - dampening_);
        }
      }
      // As PyTorch's: without weight decay it writes to the gradients themselves.
      if (nesterov_) at::_foreach_add_(g, buffers, momentum_);
      else g = buffers;
    }
    const at::Scalar alpha = (-lr).scalar();
    if (!is_sparse) return at::_foreach_add_(b.parameters, g, alpha);
    for (size_t i = 0; i < g.size(); ++i) b.parameters[i].add_(g[i], alpha);
  }

  void fused(Batch& b, const std::optional<at::Tensor>& grad_scale,
             const std::optional<at::Tensor>& found_inf) override {
    static const Tensors none;
    const Tensors& buffers = momentum_ != 0 ? b.states[0] : none;
    const bool is_first = b.is_first && momentum_ != 0;
    if (lr.is_tensor() && !lr.tensor().is_cpu()) {
      at::_fused_sgd_(b.parameters, b.gradients, buffers, weight_decay_.value(), momentum_,
                      lr.tensor().to(b.parameters[0].device()), dampening_, nesterov_, maximize, is_first, grad_scale,
                      found_inf);
      return;
    }
    at::_fused_sgd_(b.parameters, b.gradients, buffers, weight_decay_.value(), momentum_, lr.value(), dampening_,
                    nesterov_, maximize, is_first, grad_scale, found_inf);
  }

 private:
  Number weight_decay_;
  double momentum_ = 0, dampening_ = 0;
  bool nesterov_ = false;
};

const Registration<Sgd> registration("sgd");

}  // namespace
}  // namespace trainhost::model
