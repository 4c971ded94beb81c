// How PyTorch's files name dtypes: `torch.float32`, and the storage classes of those that are older than 2023.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

namespace trainhost::save {

// "float32" -> at::kFloat, for what LibTorch can make a tensor of.
std::optional<at::ScalarType> dtype_of(std::string_view name) noexcept;
// "FloatStorage" -> at::kFloat.
std::optional<at::ScalarType> dtype_of_storage(std::string_view name) noexcept;
// at::kFloat -> "FloatStorage"; empty for the newer ones, whose storages have no dtype.
std::string_view storage_of(at::ScalarType type) noexcept;
// Does a quantized dtype or storage have this name?
bool is_quantized_name(std::string_view name) noexcept;

// Turns the bytes of every element around; of both parts of a complex one.
void swap_bytes(void* data, uint64_t bytes, at::ScalarType type) noexcept;
// A bool has the bytes 0 and 1 alone: kernels rely on it.
bool are_bools(const void* data, uint64_t bytes) noexcept;

}  // namespace trainhost::save
