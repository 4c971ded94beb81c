// x[key] and x[key] = value for Lua keys, and the two values that only make sense in a key: torch.None, torch.slice.
#pragma once

#include <lua.hpp>

namespace trainhost::bindings {

// Stack: tensor, key. Pushes the result. The key is an integer, a boolean, a tensor (index or mask), torch.None, a
// torch.slice, a string that is an index expression ("1:3, ..., -1", parsed once per state), or a table of these: a
// tuple, where a table inside is a list index ({{0, 2}} is [[0, 2]]). Methods and attributes are the caller's.
int index_get(lua_State* L);
// Stack: tensor, key, value. The value is a number, a boolean, a tensor or a nested table of numbers or booleans.
int index_set(lua_State* L);

// torch.None: a new dimension in a key, and None where a table cannot hold nil. One value per state.
void push_none(lua_State* L);
bool is_none(lua_State* L, int index) noexcept;
// torch.slice(stop), torch.slice(start, stop, step): as Python's slice; nil or torch.None leaves a side open.
int slice(lua_State* L);

}  // namespace trainhost::bindings
