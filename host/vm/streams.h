// What Lua writes to the terminal leaves the status line out of it.
#pragma once

struct lua_State;

namespace trainhost::vm {

// Puts print, io.write and the method write of files in such form. After luaL_openlibs.
void open_streams(lua_State* L);

}  // namespace trainhost::vm
