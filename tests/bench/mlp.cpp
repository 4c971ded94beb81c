// The benchmark's yardstick: an operator call and an MLP's training step as one writes them in C++ by hand.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <vector>

namespace {

constexpr int64_t kRows = 60000;
constexpr int kCalls = 200000;

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// As nn.Linear starts: uniform in +-1/sqrt(in).
at::Tensor parameter(at::IntArrayRef shape, int64_t in) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  return at::empty(shape).uniform_(-bound, bound).requires_grad_();
}

// torch.optim.Adam(parameters, lr=1e-3, fused=True)
class Adam {
 public:
  explicit Adam(std::vector<at::Tensor> parameters) : parameters_(std::move(parameters)) {
    for (const at::Tensor& p : parameters_) {
      averages_.push_back(at::zeros_like(p));
      squares_.push_back(at::zeros_like(p));
      steps_.push_back(at::zeros({}));
    }
  }
  void step() {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& p : parameters_) gradients.push_back(p.grad());
    at::_foreach_add_(steps_, 1);
    at::_fused_adam_(parameters_, gradients, averages_, squares_, {}, steps_, 1e-3, 0.9, 0.999, 0.0, 1e-8,
                     /*amsgrad=*/false, /*maximize=*/false);
  }
  void zero_grad() {
    for (at::Tensor& p : parameters_) p.mutable_grad().reset();
  }

 private:
  std::vector<at::Tensor> parameters_, averages_, squares_, steps_;
};

void bench_call() {
  const at::Tensor a = at::randn({4}), b = at::randn({4});
  double began = 0;
  for (int i = -kCalls / 10; i < kCalls; ++i) {
    if (i == 0) began = cpu_seconds();
    at::Tensor c = at::add(a, b);
  }
  std::printf("call %.1f\n", (cpu_seconds() - began) / kCalls * 1e9);
}

void bench_steps() {
  const at::Tensor x = at::randn({kRows, 784}), y = at::randint(0, 10, {kRows}, at::kLong);
  at::Tensor w1 = parameter({128, 784}, 784), b1 = parameter({128}, 784);
  at::Tensor w2 = parameter({10, 128}, 128), b2 = parameter({10}, 128);
  Adam optimizer({w1, b1, w2, b2});
  for (const int64_t batch : {16, 64, 256}) {
    const int64_t steps = std::min<int64_t>(kRows / batch, 1500), warm_up = steps / 10;
    double began = 0;
    for (int64_t i = 0; i < steps; ++i) {
      if (i == warm_up) began = cpu_seconds();
      const at::Tensor xb = x.narrow(0, i * batch, batch), yb = y.narrow(0, i * batch, batch);
      const at::Tensor out = at::linear(at::relu(at::linear(xb, w1, b1)), w2, b2);
      const at::Tensor loss = at::cross_entropy_loss(out, yb);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    std::printf("mlp%d %.2f\n", static_cast<int>(batch),
                (cpu_seconds() - began) / static_cast<double>(steps - warm_up) * 1e6);
  }
}

}  // namespace

int main() {
  at::set_num_threads(1);
  bench_call();
  bench_steps();
}
