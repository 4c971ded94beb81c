// Which modes belong to the coroutine that switches them: see Note [Modes of coroutines].
#pragma once

struct lua_State;

namespace trainhost::bindings {

// Tells the state how to read and write them.
void set_coroutine_modes(lua_State* L);

}  // namespace trainhost::bindings
