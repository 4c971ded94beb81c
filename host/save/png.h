// PNG pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace trainhost::save {

// The bytes of a PNG file: `image` is uint8 [height, width, 3], red, green and blue. Error{shape} and Error{dtype} for
// any other.
std::string to_png(const at::Tensor& image);

}  // namespace trainhost::save
