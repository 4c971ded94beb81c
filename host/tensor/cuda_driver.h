// What the CUDA driver says of a device. Its C interface is stable, so no CUDA header is needed to build.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace trainhost::tensor {

struct CudaProperties {
  std::string name, uuid;
  int major = 0, minor = 0;                             // compute capability
  int64_t total_memory = 0;                             // bytes
  std::vector<std::pair<const char*, int64_t>> others;  // "multi_processor_count" ..., by PyTorch's names
};

// The properties of the device with that index. CUDA must be in use (require_cuda); Error (device) for a wrong index.
CudaProperties cuda_properties(int index);
// Can the device at `index` read the memory of the one at `peer`?
bool cuda_can_access_peer(int index, int peer);
// 12040 for CUDA 12.4, what the driver supports.
int cuda_driver_version();

}  // namespace trainhost::tensor
