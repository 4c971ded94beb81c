// libtorch_cuda by dlopen.
#include "host/tensor/cuda.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <dlfcn.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <string>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

// Note [CUDA before its hooks are asked for]
// at::detail::getCUDAHooks keeps its first answer for good. Whoever asks before libtorch_cuda is there
// (at::manual_seed, a backward's engine, pinned memory) leaves the process without CUDA. So a seed reaches the CPU
// alone until then, and what must ask calls load_cuda_if_usable first.
std::once_flag once;
bool built = false;
std::mutex seed_mutex;
bool loaded = false;                     // has libtorch_cuda been looked for? Under seed_mutex
std::optional<uint64_t> seed_for_later;  // given before

// The file `name` beside libtorch_cpu.
std::string beside_torch(const char* name) {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&at::globalContext), &info) || !info.dli_fname) return {};
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + name;
}

void seed_cuda(uint64_t seed) {
  const int count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  for (int i = 0; i < count; ++i) {
    at::Generator generator = at::detail::getCUDAHooks().getDefaultGenerator(static_cast<c10::DeviceIndex>(i));
    std::lock_guard lock(generator.mutex());
    generator.set_current_seed(seed);
  }
}

}  // namespace

void load_cuda() {
  std::call_once(once, [] {
    const std::string path = beside_torch("libtorch_cuda.so");
    built = !path.empty() && dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr;
    std::lock_guard lock(seed_mutex);
    loaded = true;
    if (built && seed_for_later) seed_cuda(*seed_for_later);
    seed_for_later.reset();
  });
}

void load_cuda_if_usable() {
  static std::once_flag asked;
  std::call_once(asked, [] {
    const std::string path = beside_torch("libtorch_cuda.so");
    if (path.empty() || access(path.c_str(), R_OK) != 0) return;
    if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) load_cuda();
  });
}

bool cuda_is_built() {
  load_cuda();
  return built;
}

bool cuda_is_available() {
  load_cuda();
  return at::hasCUDA();
}

int cuda_device_count() {
  load_cuda();
  return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
}

void require_cuda() {
  if (!cuda_is_built()) throw Error(ErrorKind::device, "Torch not compiled with CUDA enabled");
  at::globalContext().lazyInitDevice(at::kCUDA);
}

void manual_seed(uint64_t seed) {
  std::lock_guard lock(seed_mutex);
  if (loaded) return at::manual_seed(seed);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  {
    std::lock_guard generator_lock(generator.mutex());
    generator.set_current_seed(seed);
  }
  seed_for_later = seed;
}

}  // namespace trainhost::tensor
