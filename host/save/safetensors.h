// safetensors files: named tensors, as PyTorch, Hugging Face and others read and write them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainhost::save {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

struct TensorFile {
  std::vector<NamedTensor> tensors;                           // in the order of the file's header
  std::vector<std::pair<std::string, std::string>> metadata;  // the header's `__metadata__`
};

// Reads all tensors to the CPU. `map`: the tensors share a private copy-on-write mapping of the file instead of
// memory of their own (the file must then not be shortened while they live); where an offset does not suit a
// tensor's dtype, that tensor is copied all the same.
// Every length, offset, shape and name is checked before memory is asked for; Error{io} names the file and what
// was wrong. `limit`: how much memory that may be, as in Budget. The file's bytes have no checksum: a flipped bit in a
// value is not found here.
TensorFile read_safetensors(const std::string& path, bool map = false, std::optional<uint64_t> limit = std::nullopt);

// XXH3-128 of what was written: of the file, and of each tensor's bytes in it, in the order given.
struct WrittenSums {
  std::string file;
  std::vector<std::string> tensors;
};

// The sum of a tensor's bytes, as in WrittenSums. On the CPU, contiguous.
std::string checksum_of_tensor(const at::Tensor& tensor);

// Writes in one step (see NewFile). The header keeps the order given; the data lie by falling element size, so that
// every tensor is aligned. Tensors on a device and strided views are copied; tensors that share memory are written
// once each. Error{usage} for a name that is empty, given twice, reserved or not UTF-8, or a tensor without dense
// storage; Error{dtype} for a dtype that the format does not know.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata = {},
                       WrittenSums* sums = nullptr);

}  // namespace trainhost::save
