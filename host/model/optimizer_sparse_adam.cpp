// SparseAdam: Adam for sparse gradients; only what a gradient touches moves.
#include <ATen/ops/sparse_coo_tensor.h>

#include <cmath>

#include "host/model/rule.h"

namespace trainhost::model {
namespace {

enum : size_t { kStep, kFirst, kSecond };

class SparseAdam final : public AveragingRule {
 public:
  const char* title() const override { return "SparseAdam"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"step", State::Kind::count},
                                           {"exp_avg", State::Kind::like_parameter},
                                           {"exp_avg_sq", State::Kind::like_parameter}};
    return all;
  }
  bool has_foreach() const override { return false; }
  bool takes_sparse() const override { return true; }
  bool takes_dense() const override { return false; }
  bool takes_complex() const override { return false; }
  const char* instead_of_sparse() const override { return ", please consider Adam instead"; }

  void single(Batch& b, size_t i) override {
    at::Tensor &p = b.parameters[i], &m = b.states[kFirst][i], &v = b.states[kSecond][i];
    b.states[kStep][i].add_(1);
    const at::Tensor g = gradient(b, i).coalesce(), indices = g._indices(), values = g._values();
    if (values.numel() == 0) return;
    const auto sparse = [&](const at::Tensor& of) { return at::sparse_coo_tensor(indices, of, g.sizes()); };
    const at::Tensor old_first = m.sparse_mask(g)._values();
    at::Tensor first = values.sub(old_first).mul_(1 - beta1_);
    m.add_(sparse(first));
    const at::Tensor old_second = v.sparse_mask(g)._values();
    at::Tensor second = values.pow(2).sub_(old_second).mul_(1 - beta2_);
    v.add_(sparse(second));
    first.add_(old_first);
    second.add_(old_second);
    const at::Tensor denominator = second.sqrt_().add_(eps_);
    const double step = b.states[kStep][i].item<double>();
    const Number size = lr * std::sqrt(1 - std::pow(beta2_, step)) / (1 - std::pow(beta1_, step));
    p.add_(sparse(times(first.div_(denominator), -size)));
  }
};

const Registration<SparseAdam> registration("sparse_adam");

}  // namespace
}  // namespace trainhost::model
