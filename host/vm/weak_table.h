// Tables of Lua that do not keep what they hold.
#pragma once

struct lua_State;

namespace trainhost::vm {

// Pushes a new one. mode: "k", "v" or "kv", as Lua's __mode.
void push_weak_table(lua_State* L, const char* mode);

}  // namespace trainhost::vm
