// The header of a .npy array.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::save {

struct NpyHeader {
  at::ScalarType type = at::kFloat;
  bool big_endian = false, fortran = false;
  char text = 0;      // 'U': strings of code points of 4 bytes, 'S': strings of bytes, each filled up with zeros
  uint64_t item = 0;  // bytes of an element
  std::vector<int64_t> shape;
  uint64_t data = 0;   // where the elements begin
  uint64_t bytes = 0;  // how many they are
};

// Thrown for an array that is whole but of a dtype that is none of ours.
struct NpyRefused {
  std::string reason;
};

using Fail = std::function<void(const std::string& reason)>;  // throws

// Reads the header of an array of `size` bytes that begins with `head`, which holds all of it or kMostNpyHeader bytes.
// Calls `fail` for anything that is not the header of an array within `size`; NpyRefused if it holds neither numbers
// nor strings.
NpyHeader read_npy_header(std::string_view head, uint64_t size, const Fail& fail);
inline constexpr size_t kMostNpyHeader = size_t{64} << 10;

// The header as numpy writes it, to the byte. Error{dtype} for what numpy does not have.
std::string npy_header(at::ScalarType type, at::IntArrayRef shape, bool fortran);

}  // namespace trainhost::save
