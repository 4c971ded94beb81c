// A program that lets its users script a policy over a model of its own; says "ok" if all went as promised.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <signal.h>
#include <sys/stat.h>
#include <torch/csrc/api/include/torch/nn/modules/linear.h>
#include <torch/library.h>
#include <trainhost/trainhost.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

using namespace trainhost;

// The program's own operator: scripts find it under torch.ops.
TORCH_LIBRARY(policy, m) {
  m.def("discount(Tensor reward, float gamma=0.5) -> Tensor",
        [](const at::Tensor& reward, double gamma) { return reward.mul(gamma); });
}

#define CHECK_THAT_IT(condition)                                                 \
  if (!(condition)) {                                                            \
    std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                                \
  }

namespace {

// What a library must leave alone.
struct Process {
  std::vector<struct sigaction> actions;
  sigset_t mask;
  std::string folder, locale;
  mode_t umask_;
  int threads, stdout_flags;
  struct stat out;

  static Process now() {
    Process p{};
    for (int signal = 1; signal < 32; ++signal) {
      struct sigaction action {};
      sigaction(signal, nullptr, &action);
      p.actions.push_back(action);
    }
    pthread_sigmask(SIG_BLOCK, nullptr, &p.mask);
    p.folder = std::filesystem::current_path().string();
    p.locale = std::setlocale(LC_ALL, nullptr);
    p.umask_ = umask(0);
    umask(p.umask_);
    p.threads = at::get_num_threads();
    fstat(STDOUT_FILENO, &p.out);
    return p;
  }

  bool same_as(const Process& other) const {
    for (size_t i = 0; i < actions.size(); ++i)
      if (actions[i].sa_handler != other.actions[i].sa_handler || actions[i].sa_flags != other.actions[i].sa_flags)
        return false;
    return std::memcmp(&mask, &other.mask, sizeof mask) == 0 && folder == other.folder && locale == other.locale &&
           umask_ == other.umask_ && threads == other.threads && out.st_ino == other.out.st_ino;
  }
};

ErrorKind kind_of(Host& host, const char* code) {
  try {
    host.run_string(code, "=policy.lua");
  } catch (const Error& e) {
    return e.kind();
  }
  return ErrorKind::internal;
}

// An operator that is registered when scripts have run already.
void register_later() {
  static torch::Library library(torch::Library::FRAGMENT, "policy", std::nullopt, __FILE__, __LINE__);
  library.def("later(int n) -> int", [](int64_t n) { return n + 1; });
}

void interrupts(Host& host) {
  std::thread watchdog([&] {
    while (host.interrupt() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  const auto kind = kind_of(host, "while true do pcall(function() while true do end end) end");
  watchdog.join();
  CHECK_THAT_IT(kind == ErrorKind::interrupted);
  CHECK_THAT_IT(host.run_string("return 1").front().as_int() == 1);
}

}  // namespace

int main() {
  std::setlocale(LC_ALL, "C");
  umask(027);
  const Process before = Process::now();
  {
    Host host;
    torch::nn::Linear layer(3, 2);
    host.add_module("model", layer.ptr());
    std::vector<double> seen;
    host.add_function("observe", [&](std::span<const Value> in) {
      seen.push_back(in[0].as_double());
      return std::vector<Value>{static_cast<int64_t>(seen.size())};
    });
    host.set("config.threshold", 0.5);
    host.run_string(
        "local torch = require 'torch'\n"
        "function decide(x) local n = observe(x:sum():item()) return n, x:mean():item() > config.threshold, x * 2 end");
    const auto out = host.call("decide", {at::ones({4})});
    CHECK_THAT_IT(out.size() == 3 && out[0].as_int() == 1 && out[1].as_bool() && seen == std::vector<double>{4.0});
    CHECK_THAT_IT(out[2].as_tensor().sum().item<double>() == 8.0);
    CHECK_THAT_IT(host.run_string("return #model:parameters()").front().as_int() == 2);

    const auto own = host.run_string(
        "local torch = require 'torch'\n"
        "local x = torch.ones(2, {requires_grad = true})\n"
        "torch.ops.policy.discount(x, {gamma = 0.25}):sum():backward()\n"
        "return torch.ops.policy.discount(x), x.grad");
    CHECK_THAT_IT(own[0].as_tensor().sum().item<double>() == 1.0 && own[1].as_tensor().sum().item<double>() == 0.5);
    register_later();
    CHECK_THAT_IT(host.run_string("return require('torch').ops.policy.later(3)").front().as_int() == 4);

    CHECK_THAT_IT(kind_of(host, "require('torch').ones(2):matmul(require('torch').ones(3))") == ErrorKind::shape);
    CHECK_THAT_IT(kind_of(host, "error('x')") == ErrorKind::usage);
    try {
      host.run_string("\nobserve('x')", "=policy.lua");
      CHECK_THAT_IT(false);
    } catch (const Error& e) {
      CHECK_THAT_IT(e.where() == "policy.lua:2" &&
                    std::string(e.what()).find("type double, got string") != std::string::npos);
    }
    interrupts(host);

    std::atomic<bool> posted{false};
    std::thread poster([&] { host.post([&] { posted = true, host.set("posted", true); }); });
    host.run_string("while not posted do end");
    poster.join();
    CHECK_THAT_IT(posted);

    host.run_string("os.exit(5)");
    CHECK_THAT_IT(host.exit_code() == 5);
  }
  CHECK_THAT_IT(Process::now().same_as(before));
  std::puts("ok");
}
