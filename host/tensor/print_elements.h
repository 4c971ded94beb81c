// The elements of a dense tensor as text.
#pragma once

#include <cstdint>
#include <string>

#include "host/tensor/print.h"

namespace trainhost::tensor {

std::string spaces(int64_t count);  // "" for a negative count

// Nested brackets as PyTorch lays them out; lines after the first begin with `indent` spaces.
std::string elements_text(const at::Tensor& tensor, int64_t indent, const PrintOptions& options);

}  // namespace trainhost::tensor
