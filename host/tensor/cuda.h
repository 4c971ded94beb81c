// CUDA, opened when it is first needed: one build serves machines with and without it.
#pragma once

namespace trainhost::tensor {

// Opens libtorch_cuda beside libtorch_cpu if it is there. Cheap after the first call; any thread.
void load_cuda();
// Can CUDA be used: the library is there and sees a device?
bool cuda_is_available();
int cuda_device_count();

}  // namespace trainhost::tensor
