// The standard library's Lua files, embedded in the binary.
#pragma once

#include <cstddef>
#include <string_view>

namespace trainhost::vm {

struct StdlibFile {
  std::string_view name;  // "torch.nn"
  std::string_view file;  // "torch/nn/init.lua"; the chunk is named "=stdlib/" + file
  std::string_view text;
};

size_t stdlib_size() noexcept;
StdlibFile stdlib_file(size_t index) noexcept;

}  // namespace trainhost::vm
