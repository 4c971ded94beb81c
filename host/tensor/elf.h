// What an ELF shared library says of itself before it is opened.
#pragma once

#include <string>

namespace trainhost::tensor {

// The names in the dynamic section of the shared library at `path` (needed libraries and symbols), each between zero
// bytes. Throws Error (io) if the file cannot be read or is no 64-bit ELF shared library. The file may be hostile:
// every offset in it is checked.
std::string dynamic_names(const std::string& path);

}  // namespace trainhost::tensor
