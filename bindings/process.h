// How many threads LibTorch uses.
#pragma once

struct lua_State;

namespace trainhost::bindings {

// Sets set_num_threads ... in the module table on top of the stack.
void set_process_functions(lua_State* L);

}  // namespace trainhost::bindings
