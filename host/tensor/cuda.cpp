// libtorch_cuda by dlopen.
#include "host/tensor/cuda.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <mutex>
#include <string>

namespace trainhost::tensor {

void load_cuda() {
  static std::once_flag once;
  std::call_once(once, [] {
    Dl_info info{};
    if (!dladdr(reinterpret_cast<void*>(&at::globalContext), &info) || !info.dli_fname) return;
    const std::string path = info.dli_fname;
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    dlopen((folder + "libtorch_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);  // absent in a CPU build
  });
}

bool cuda_is_available() {
  load_cuda();
  return at::hasCUDA();
}

int cuda_device_count() {
  load_cuda();
  return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
}

}  // namespace trainhost::tensor
