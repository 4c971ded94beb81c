// Where a script is: the user's own line, and the frames around it.
#pragma once

#include <string>

struct lua_Debug;
struct lua_State;

namespace trainhost::vm {

// "train.lua:12" for the innermost frame of a script, passing over the standard library; empty if there is none.
std::string user_line(lua_State* L);
// Is the function of a frame (lua_getinfo "S") one of the standard library?
bool is_stdlib(const lua_Debug& frame);
// One line a frame, innermost first: "train.lua:12: in function 'step'"; frames of the standard library are left
// out unless the environment has TRAINHOST_TRACE=full.
std::string traceback(lua_State* L, int level);

}  // namespace trainhost::vm
