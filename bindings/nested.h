// Nested Lua tables and numbers to tensors and back.
#pragma once

#include "bindings/tensor.h"

namespace trainhost::bindings {

// The tensor of the number, boolean or nested table at `index`, or of a tensor itself (a copy). Integers alone give
// int64, any float the default dtype, any complex number its complex dtype, booleans alone bool. Usage and shape errors
// begin with `what`.
at::Tensor nested_to_tensor(lua_State* L, int index, std::optional<at::ScalarType> dtype = std::nullopt,
                            const char* what = "torch.tensor");

// Set item and tolist in the methods table on top of the stack.
void set_nested_methods(lua_State* L);
// Set tensor and as_tensor in the module table on top of the stack.
void set_making_functions(lua_State* L);
// Set to, float, cpu ... in the methods table on top of the stack.
void set_conversion_methods(lua_State* L);

}  // namespace trainhost::bindings
