// The table of storage classes, and bytes that need care.
#include "host/save/dtypes.h"

#include <algorithm>
#include <array>

#include "host/tensor/names.h"

namespace trainhost::save {
namespace {

struct StorageName {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<StorageName, 12> kStorages = {{{"DoubleStorage", at::kDouble},
                                                    {"FloatStorage", at::kFloat},
                                                    {"HalfStorage", at::kHalf},
                                                    {"LongStorage", at::kLong},
                                                    {"IntStorage", at::kInt},
                                                    {"ShortStorage", at::kShort},
                                                    {"CharStorage", at::kChar},
                                                    {"ByteStorage", at::kByte},
                                                    {"BoolStorage", at::kBool},
                                                    {"BFloat16Storage", at::kBFloat16},
                                                    {"ComplexDoubleStorage", at::kComplexDouble},
                                                    {"ComplexFloatStorage", at::kComplexFloat}}};

}  // namespace

std::optional<at::ScalarType> dtype_of(std::string_view name) noexcept {
  if (is_quantized_name(name)) return std::nullopt;
  for (const auto& row : tensor::dtype_names())
    if (row.name == name) return row.type;
  return std::nullopt;
}

std::optional<at::ScalarType> dtype_of_storage(std::string_view name) noexcept {
  for (const auto& row : kStorages)
    if (row.name == name) return row.type;
  return std::nullopt;
}

std::string_view storage_of(at::ScalarType type) noexcept {
  for (const auto& row : kStorages)
    if (row.type == type) return row.name;
  return {};
}

bool is_quantized_name(std::string_view name) noexcept {
  return name.starts_with("qint") || name.starts_with("quint") || name.starts_with("QInt") || name.starts_with("QUInt");
}

void swap_bytes(void* data, uint64_t bytes, at::ScalarType type) noexcept {
  const size_t size = c10::elementSize(type) / (at::isComplexType(type) ? 2 : 1);
  if (size < 2) return;
  auto* at = static_cast<char*>(data);
  for (char* end = at + bytes / size * size; at != end; at += size) std::reverse(at, at + size);
}

bool are_bools(const void* data, uint64_t bytes) noexcept {
  const auto* at = static_cast<const unsigned char*>(data);
  return std::none_of(at, at + bytes, [](unsigned char b) { return b > 1; });
}

}  // namespace trainhost::save
