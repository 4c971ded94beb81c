// libtorch_cuda by dlopen.
#include "host/tensor/cuda.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <mutex>
#include <optional>
#include <string>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

std::once_flag once;
bool built = false;
std::mutex seed_mutex;
std::optional<uint64_t> seed_for_later;  // given before libtorch_cuda was there

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
    Dl_info info{};
    if (!dladdr(reinterpret_cast<void*>(&at::globalContext), &info) || !info.dli_fname) return;
    const std::string path = info.dli_fname;
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    built = dlopen((folder + "libtorch_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr;
    std::lock_guard lock(seed_mutex);
    if (built && seed_for_later) seed_cuda(*seed_for_later);
    seed_for_later.reset();
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
  seed_for_later = seed;
  at::manual_seed(seed);
}

}  // namespace trainhost::tensor
