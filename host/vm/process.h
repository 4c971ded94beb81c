// What of os a script may not do to its host: os.exit and os.execute.
#pragma once

struct lua_State;

namespace trainhost::vm {

// Puts ours in place of Lua's: an exit that ends the script alone, and commands that an interruption ends.
void open_process(lua_State* L);

}  // namespace trainhost::vm
