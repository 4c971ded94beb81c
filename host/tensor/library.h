// Shared libraries that register operators with LibTorch.
#pragma once

#include <string>
#include <vector>

namespace trainhost::tensor {

// Opens the library at `path`, which runs its TORCH_LIBRARY blocks, for good. Opening it again does nothing. Returns
// its real path. Throws Error (io) that says why: no such file, no shared library, one that has nothing to do with
// LibTorch, one that was built against another LibTorch or as a Python module, one whose operators are there already,
// one that crashes. `program`: trainhost's own, a process of which tries the library first; empty: nothing does.
std::string load_library(const std::string& path, const std::string& program);
// What that process does: opens the libraries in order, says on descriptor 3 how it went, and ends the process.
[[noreturn]] void try_libraries(const std::vector<std::string>& paths);

}  // namespace trainhost::tensor
