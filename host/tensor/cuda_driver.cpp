// libcuda.so.1 by dlopen: LibTorch has opened it where there is CUDA.
#include "host/tensor/cuda_driver.h"

#include <dlfcn.h>

#include <cstdio>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

// The functions of cuda.h by their types there: CUresult and CUdevice are ints.
struct Driver {
  int (*get)(int* device, int ordinal);
  int (*get_name)(char* name, int length, int device);
  int (*get_memory)(size_t* bytes, int device);
  int (*get_attribute)(int* value, int attribute, int device);
  int (*get_uuid)(unsigned char* uuid, int device);
  int (*can_access_peer)(int* can, int device, int peer);
  int (*get_version)(int* version);
};

template <class Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw Error(ErrorKind::device, std::string("the CUDA driver has no ") + name);
}

const Driver& driver() {
  static const Driver driver = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) throw Error(ErrorKind::device, std::string("the CUDA driver cannot be opened: ") + dlerror());
    Driver found{};
    find(library, "cuDeviceGet", found.get);
    find(library, "cuDeviceGetName", found.get_name);
    find(library, "cuDeviceTotalMem_v2", found.get_memory);
    find(library, "cuDeviceGetAttribute", found.get_attribute);
    find(library, "cuDeviceGetUuid", found.get_uuid);
    find(library, "cuDeviceCanAccessPeer", found.can_access_peer);
    find(library, "cuDriverGetVersion", found.get_version);
    return found;
  }();
  return driver;
}

void check(int result, const char* function) {
  if (result == 0) return;
  throw Error(ErrorKind::device, std::string("CUDA driver error ") + std::to_string(result) + " in " + function);
}

int device_at(int index) {
  int device = 0;
  if (index < 0 || driver().get(&device, index) != 0) throw Error(ErrorKind::device, "Invalid device id");
  return device;
}

// Names as in PyTorch's get_device_properties, numbers of CUdevice_attribute.
constexpr std::pair<const char*, int> kAttributes[] = {{"multi_processor_count", 16},
                                                       {"max_threads_per_multi_processor", 39},
                                                       {"max_threads_per_block", 1},
                                                       {"warp_size", 10},
                                                       {"regs_per_multiprocessor", 82},
                                                       {"shared_memory_per_block", 8},
                                                       {"shared_memory_per_block_optin", 97},
                                                       {"shared_memory_per_multiprocessor", 81},
                                                       {"L2_cache_size", 38},
                                                       {"clock_rate", 13},
                                                       {"memory_clock_rate", 36},
                                                       {"memory_bus_width", 37},
                                                       {"is_integrated", 18},
                                                       {"is_multi_gpu_board", 84},
                                                       {"pci_bus_id", 33},
                                                       {"pci_device_id", 34},
                                                       {"pci_domain_id", 50}};

}  // namespace

CudaProperties cuda_properties(int index) {
  const Driver& cuda = driver();
  const int device = device_at(index);
  CudaProperties properties;
  char name[256] = {};
  check(cuda.get_name(name, sizeof name - 1, device), "cuDeviceGetName");
  properties.name = name;
  size_t bytes = 0;
  check(cuda.get_memory(&bytes, device), "cuDeviceTotalMem");
  properties.total_memory = static_cast<int64_t>(bytes);
  check(cuda.get_attribute(&properties.major, 75, device), "cuDeviceGetAttribute");
  check(cuda.get_attribute(&properties.minor, 76, device), "cuDeviceGetAttribute");
  unsigned char uuid[16] = {};
  check(cuda.get_uuid(uuid, device), "cuDeviceGetUuid");
  for (int i = 0; i < 16; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", uuid[i]);
    properties.uuid += (i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "") + std::string(two);
  }
  for (const auto& [attribute, number] : kAttributes) {
    int value = 0;
    if (cuda.get_attribute(&value, number, device) == 0) properties.others.emplace_back(attribute, value);
  }
  return properties;
}

bool cuda_can_access_peer(int index, int peer) {
  int can = 0;
  check(driver().can_access_peer(&can, device_at(index), device_at(peer)), "cuDeviceCanAccessPeer");
  return can != 0;
}

int cuda_driver_version() {
  int version = 0;
  check(driver().get_version(&version), "cuDriverGetVersion");
  return version;
}

}  // namespace trainhost::tensor
