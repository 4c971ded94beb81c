// Where a storage belongs: the locations that PyTorch's files name, "cpu" and "cuda:0".
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace trainhost::save {

// The device of a location, checked to be there. Error{device} in PyTorch's words: without CUDA, beyond the number of
// devices, or for a location that nothing knows.
at::Device device_of(const std::string& location);

}  // namespace trainhost::save
