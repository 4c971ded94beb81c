// Muon: momentum whose matrices are made orthogonal by Newton-Schulz iterations.
#include <ATen/ops/addmm.h>

#include <algorithm>
#include <cmath>

#include "host/base/error.h"
#include "host/model/rule.h"

namespace trainhost::model {
namespace {

class Muon final : public Rule {
 public:
  const char* title() const override { return "Muon"; }
  const std::vector<State>& states() const override {
    static const std::vector<State> all = {{"momentum_buffer", State::Kind::like_parameter}};
    return all;
  }
  bool has_foreach() const override { return false; }
  bool takes_complex() const override { return false; }

  void read(const Hyper& hyper) override {
    weight_decay_ = hyper.number("weight_decay").value();
    momentum_ = hyper.number("momentum").value();
    nesterov_ = hyper.flag("nesterov");
    for (int i = 0; i < 3; ++i) coefficients_[i] = hyper.or_nan("ns_coefficients", i);
    eps_ = hyper.number("eps").value();
    iterations_ = static_cast<int64_t>(hyper.number("ns_steps").value());
    adjust_ = hyper.text("adjust_lr_fn");
    if (iterations_ >= 100) throw_usage("Number of steps must be less than 100 for computational efficiency");
    if (std::isnan(coefficients_[2]) || !std::isnan(hyper.or_nan("ns_coefficients", 3)))
      throw_usage("Coefficients must be a tuple of exactly 3 values");
  }

  void begin(const at::Tensor&, const at::Tensor& gradient, Tensors& state, bool) const override {
    zeros_for(state[0], gradient);
  }

  void single(Batch& b, size_t i) override {
    at::Tensor &p = b.parameters[i], &buffer = b.states[0][i];
    const at::Tensor& g = b.gradients[i];
    if (g.dim() != 2) throw_usage("Param gradient must be a 2D matrix");
    buffer.lerp_(g, 1 - momentum_);
    const at::Tensor update = orthogonal(nesterov_ ? g.lerp(buffer, momentum_) : buffer);
    scale(p, 1 - lr * weight_decay_);
    p.add_(update, (-adjusted(p)).scalar());
  }

 private:
  at::Tensor orthogonal(const at::Tensor& gradient) const {
    const bool is_tall = gradient.size(0) > gradient.size(1);
    at::Tensor x = gradient.to(at::kBFloat16);
    if (is_tall) x = x.t();
    x.div_(x.norm().clamp_min(eps_));
    for (int64_t i = 0; i < iterations_; ++i) {
      const at::Tensor gram = x.mm(x.t());
      const at::Tensor change = at::addmm(gram, gram, gram, coefficients_[1], coefficients_[2]);
      x = at::addmm(x, change, x, coefficients_[0]);
    }
    return is_tall ? x.t() : x;
  }

  Number adjusted(const at::Tensor& p) const {
    const double rows = static_cast<double>(p.size(0)), columns = static_cast<double>(p.size(1));
    if (adjust_.empty() || adjust_ == "original") return lr * std::sqrt(std::max(1.0, rows / columns));
    if (adjust_ == "match_rms_adamw") return lr * (0.2 * std::sqrt(std::max(rows, columns)));
    return lr;
  }

  double weight_decay_ = 0, momentum_ = 0, eps_ = 0, coefficients_[3] = {};
  bool nesterov_ = true;
  int64_t iterations_ = 5;
  std::string adjust_;
};

const Registration<Muon> registration("muon");

}  // namespace
}  // namespace trainhost::model
