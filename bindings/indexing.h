// x[key] and x[key] = value for Lua keys.
#pragma once

#include <lua.hpp>

#include "bindings/slice.h"

namespace trainhost::bindings {

// Stack: tensor, key. Pushes the result. The key is an integer, a boolean, a tensor (index or mask), torch.None, a
// torch.slice, a string that is an index expression ("1:3, ..., -1", parsed once per state), or a table of these: a
// tuple, where a table inside is a list index ({{0, 2}} is [[0, 2]]). Methods and attributes are the caller's.
int index_get(lua_State* L);
// Stack: tensor, key, value. The value is a number, a boolean, a tensor or a nested table of numbers or booleans.
int index_set(lua_State* L);

}  // namespace trainhost::bindings
