// The one door from the host into the bindings.
#pragma once

struct lua_State;

namespace trainhost::bindings {

// Registers every native module in package.preload as "native.NOUN" and defines the types. Once per state.
void open_all(lua_State* L);

}  // namespace trainhost::bindings
