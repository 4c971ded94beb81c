// The header of a safetensors file: read with every check the format asks for.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/read_file.h"
#include "host/save/budget.h"

namespace trainhost::save {

// At most this many bytes of header are read, as by the safetensors package.
inline constexpr uint64_t kMostHeaderBytes = 100'000'000;

struct HeaderEntry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // in bytes from the end of the header
};

struct Header {
  std::vector<HeaderEntry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
  uint64_t data = 0;  // where the data begin in the file
};

// Throws Error{io} for anything that is not a well-formed header of a file of this size: offsets that overlap, leave
// a hole or end elsewhere than the file does, sizes that do not follow from dtype and shape, names given twice.
Header read_header(const file::ReadFile& file, Budget& budget);

// "F32" and back; empty for a dtype that the format does not know, or LibTorch does not.
std::string_view safetensors_dtype(at::ScalarType type) noexcept;
std::optional<at::ScalarType> torch_dtype(std::string_view name) noexcept;

}  // namespace trainhost::save
