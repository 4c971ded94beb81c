// torch.Size: a read-only list of integers. Equal sizes are one and the same Lua value.
#pragma once

#include <lua.hpp>

namespace trainhost::bindings {

// Defines the type and sets torch.Size in the module table on top of the stack.
void open_size(lua_State* L);
// Puts the plain list behind a torch.Size at `index` (not relative) in its place; other values stay.
void unwrap_size(lua_State* L, int index);
// How many elements the list at `index` has: a table, or a torch.Size. 0 for other values.
lua_Integer list_length(lua_State* L, int index);
// A usage error if the table at `index` has anything beside its elements 1 to `size`, such as one at 0.
void refuse_other_keys(lua_State* L, int index, lua_Integer size);
// Pushes element i (from 1) of such a list, raw; returns its type.
int push_list_item(lua_State* L, int index, lua_Integer i);

}  // namespace trainhost::bindings
