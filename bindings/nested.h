// Nested Lua tables and numbers to tensors and back.
#pragma once

#include "bindings/tensor.h"

namespace trainhost::bindings {

// The tensor of the number, boolean or nested table at `index`, or of a tensor itself (a copy). Integers alone give
// int64, any float the default dtype, booleans alone bool. Usage and shape errors name the place.
at::Tensor nested_to_tensor(lua_State* L, int index, std::optional<at::ScalarType> dtype = std::nullopt);

// Set item, tolist, to ... in the methods table on top of the stack.
void set_nested_methods(lua_State* L);
// Set tensor, as_tensor, manual_seed, set_default_dtype ... in the module table on top of the stack.
void set_nested_functions(lua_State* L);

}  // namespace trainhost::bindings
