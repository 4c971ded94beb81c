// A program that hands modules of its own to a script, which builds on them, trains, freezes, copies and saves them;
// and that looks at the script's model from its side. Says "ok" if all went as promised.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/api/include/torch/nn/cloneable.h>
#include <torch/csrc/api/include/torch/nn/modules/activation.h>
#include <torch/csrc/api/include/torch/nn/modules/batchnorm.h>
#include <torch/csrc/api/include/torch/nn/modules/container/sequential.h>
#include <torch/csrc/api/include/torch/nn/modules/linear.h>
#include <trainhost/trainhost.h>

#include <cstdio>
#include <cstdlib>
#include <string>

using namespace trainhost;

#define CHECK_THAT_IT(condition)                                                 \
  if (!(condition)) {                                                            \
    std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                                \
  }

namespace {

// Parameters, buffers and a child.
struct Scale : torch::nn::Cloneable<Scale> {
  Scale() : torch::nn::Cloneable<Scale>("Scale") { reset(); }
  void reset() override {
    gain = register_parameter("gain", at::full({4}, 2.0));
    calls = register_buffer("calls", at::zeros({}, at::kLong));
    norm = register_module("norm", torch::nn::BatchNorm1d(4));
  }
  at::Tensor forward(const at::Tensor& x) {
    if (is_training()) calls.add_(1);
    return norm(x) * gain;
  }
  at::Tensor gain, calls;
  torch::nn::BatchNorm1d norm{nullptr};
};

// Several inputs and outputs; not Cloneable.
struct Mix : torch::nn::Module {
  Mix() : torch::nn::Module("Mix") { linear = register_module("linear", torch::nn::Linear(4, 3)); }
  std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor both = linear(a) + linear(b);
    return {both, both.relu()};
  }
  torch::nn::Linear linear{nullptr};
};

std::string message_of(Host& host, const char* code) {
  try {
    host.run_string(code);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

void hand_over(Host& host) {
  torch::nn::Sequential body(torch::nn::Linear(3, 4), torch::nn::Tanh());
  host.add_module("body", body.ptr());
  host.add_module("scale", std::make_shared<Scale>());
  host.add_module("mix", std::make_shared<Mix>());
  host.add_module("plain", std::make_shared<Scale>(),
                  [](std::span<const Value> in) { return std::vector<Value>{in[0].as_tensor() * 3}; });
  std::shared_ptr<torch::nn::Module> bare = std::make_shared<Scale>();
  host.add_module("bare", bare);
}

void see_the_scripts_model(Host& host) {
  const auto net = host.get("net").as_module();
  CHECK_THAT_IT(net->named_parameters().contains("0.0.weight") && net->named_parameters().contains("2.bias"));
  const auto out = host.call("net", {at::ones({2, 3})});
  CHECK_THAT_IT(out.size() == 1 && out[0].as_tensor().sizes() == at::IntArrayRef({2, 2}));
  net->train();
  CHECK_THAT_IT(host.run_string("return net[2].training").front().as_bool());
  host.run_string("nn.freeze(net[2])");
  net->train();  // what the script has frozen stays so
  CHECK_THAT_IT(!host.run_string("return net[2].training").front().as_bool());
  for (const auto& parameter : net->named_parameters())
    CHECK_THAT_IT(parameter.value().requires_grad() == (parameter.key().rfind("2.", 0) != 0));
  at::Tensor loss = host.call("net", {at::ones({2, 3})})[0].as_tensor().sum();
  loss.backward();
  CHECK_THAT_IT(net->named_parameters()["0.0.weight"].grad().defined());
  CHECK_THAT_IT(!net->named_parameters()["2.bias"].grad().defined());
}

}  // namespace

int main(int, char** argv) {
  Host host;
  hand_over(host);
  host.set("folder", Value(argv[1]));
  host.run_file(argv[2]);
  see_the_scripts_model(host);
  CHECK_THAT_IT(message_of(host, "bare(torch.ones(1, 4))").find("has no forward that a script can call") !=
                std::string::npos);
  CHECK_THAT_IT(message_of(host, "mix(torch.ones(1, 4))").find("Mix does not take 1 tensors") != std::string::npos);
  CHECK_THAT_IT(message_of(host, "mix:deepcopy()").find("clone() has not been implemented") != std::string::npos);
  std::puts("ok");
}
