// Shared libraries that register operators with LibTorch.
#pragma once

#include <string>

namespace trainhost::tensor {

// Opens the library at `path`, which runs its TORCH_LIBRARY blocks, for good. Opening it again does nothing. Returns
// its real path. Throws Error (io) that says why: no such file, no shared library, one that has nothing to do with
// LibTorch, one that was built against another LibTorch or as a Python module, one whose operators are there already.
std::string load_library(const std::string& path);

}  // namespace trainhost::tensor
