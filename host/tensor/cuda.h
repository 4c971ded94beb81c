// CUDA, opened when it is first needed: one build serves machines with and without it.
#pragma once

#include <cstdint>

namespace trainhost::tensor {

// Opens libtorch_cuda beside libtorch_cpu if it is there. Cheap after the first call; any thread.
void load_cuda();
// Opens it if this machine also has a driver for it: before anything that asks for CUDA's hooks without needing CUDA.
void load_cuda_if_usable();
// Is libtorch_cuda there?
bool cuda_is_built();
// Can CUDA be used: the library is there and sees a device?
bool cuda_is_available();
int cuda_device_count();
// Opens and initialises CUDA; Error (device) with PyTorch's words where it cannot be used.
void require_cuda();
// Seeds the default generators of all devices, CUDA's also if it is opened later.
void manual_seed(uint64_t seed);

}  // namespace trainhost::tensor
