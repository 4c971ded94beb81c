// What moves and converts the tensors of a module, in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "host/model/module.h"

namespace trainhost::model {

// What is not given stays as it is.
struct Conversion {
  std::optional<at::Device> device;
  std::optional<at::ScalarType> dtype;     // of floating point tensors, and of complex ones with `complex`
  std::optional<at::MemoryFormat> format;  // of tensors of 4 and 5 dimensions
  bool complex = false, non_blocking = false;
};

// Converts the parameters, their gradients and the buffers of this module alone. They stay the same tensors. False at
// the first whose shape is not known yet, or that cannot take the memory of its new kind (see set_data): those before
// it are converted.
bool convert(Module& module, const Conversion& conversion);

}  // namespace trainhost::model
