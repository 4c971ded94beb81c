// IDX files: the format of MNIST, Fashion-MNIST and their kin.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace trainhost::data {

// Reads a whole IDX file, plain or gzip-compressed (told by its first bytes, not by its name), into a new CPU
// tensor with the file's shape and dtype: uint8, int8, int16, int32, float32 or float64, native byte order.
// Error{io} names the file and what was expected: a missing or unreadable file, a wrong magic number, an unknown
// dtype, a size that does not agree with the header (short or long), a damaged gzip stream.
// Never allocates more than the file can hold: see kMostExpansion in idx.cpp.
at::Tensor read_idx(const std::string& path);

}  // namespace trainhost::data
