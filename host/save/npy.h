// numpy's files: .npy, one array, and .npz, arrays by name in a zip archive.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/save/safetensors.h"

namespace trainhost::save {

// What an array is read to: a tensor, or strings in the order of their rows (of no dimension: one), as UTF-8 or bytes.
struct NpyArray {
  at::Tensor tensor;
  std::vector<int64_t> shape;  // of the strings
  std::optional<std::vector<std::string>> strings = std::nullopt;
};
struct NamedArray {
  std::string name;
  NpyArray array;
  std::string refusal = {};  // why there is no array: its dtype is none of ours
};

// Reads an array as torch.from_numpy gives it: in Fortran order with strides that rise; big-endian numbers are turned
// around. `map`: shares a private mapping of the file where it is aligned. Error{io} for what is damaged, and for
// arrays of anything but numbers and strings.
NpyArray read_npy(const std::string& path, bool map, std::optional<uint64_t> limit = std::nullopt);
// All arrays of an archive, in its order, those that cannot be read with the reason; `limit` as in Budget.
std::vector<NamedArray> read_npz(const std::string& path, bool map, std::optional<uint64_t> limit);

// Write in one step (see NewFile), to the byte as numpy.save does; .npz also deflated. Error{dtype} for a dtype that
// numpy lacks, Error{usage} for a tensor without dense storage.
void write_npy(const std::string& path, const at::Tensor& tensor);
void write_npz(const std::string& path, const std::vector<NamedTensor>& tensors, bool compressed);

}  // namespace trainhost::save
