// What of os is ours: os.exit, os.execute and os.tmpname.
#pragma once

struct lua_State;

namespace trainhost::vm {

// Puts ours in place of Lua's: an exit that ends the script alone, commands that an interruption ends, and names in
// TMPDIR.
void open_process(lua_State* L);

}  // namespace trainhost::vm
