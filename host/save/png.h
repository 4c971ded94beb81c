// PNG pictures, still and moving.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace trainhost::save {

// The bytes of a PNG file: `image` is uint8 [height, width, channels]; channels are 1 (grey), 3 (red, green, blue) or 4
// (with opacity). Error{shape} and Error{dtype} for any other.
std::string to_png(const at::Tensor& image);
// The bytes of an animated PNG (APNG) that plays for ever: `frames` is uint8 [time, height, width, channels]. Programs
// that know no animation show the first frame.
std::string to_animated_png(const at::Tensor& frames, double frames_per_second);

}  // namespace trainhost::save
