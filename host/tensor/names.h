// The names PyTorch gives to dtypes, layouts and memory formats.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::tensor {

struct DtypeName {
  std::string_view name;  // "float32", and its aliases: "float"
  at::ScalarType type;
};
// Every dtype of PyTorch, the canonical name of each first, aliases behind.
const std::vector<DtypeName>& dtype_names();
// "float32"; "undefined" for what PyTorch does not name.
std::string_view name_of(at::ScalarType type) noexcept;

struct LayoutName {
  std::string_view name;
  at::Layout layout;
};
const std::vector<LayoutName>& layout_names();
std::string_view name_of(at::Layout layout) noexcept;

struct MemoryFormatName {
  std::string_view name;
  at::MemoryFormat format;
};
const std::vector<MemoryFormatName>& memory_format_names();
std::string_view name_of(at::MemoryFormat format) noexcept;

// The device that "cuda:0" names. Throws a usage error with the valid forms.
at::Device parse_device(const std::string& text);

}  // namespace trainhost::tensor
