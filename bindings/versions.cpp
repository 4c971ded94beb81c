// What is loaded: the versions of Lua and LibTorch, and where LibTorch lies.
#include <dlfcn.h>

#include <cstdint>
#include <lua.hpp>

#include "bindings/bindings.h"
#include "host/base/file.h"

extern "C" uint64_t aoti_torch_abi_version();  // of the libtorch_cpu that is loaded

namespace trainhost::bindings {

std::string lua_version() { return LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE; }

std::string torch_version() {
  const uint64_t version = aoti_torch_abi_version();
  return std::to_string(version >> 56) + "." + std::to_string(version >> 48 & 0xff) + "." +
         std::to_string(version >> 40 & 0xff);
}

std::string torch_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&aoti_torch_abi_version), &info) || !info.dli_fname) return {};
  return file::folder_of(info.dli_fname);
}

bool torch_has_cuda() { return file::exists(torch_folder() + "/libtorch_cuda.so"); }

}  // namespace trainhost::bindings
