// What torch sets for the whole process: seeds, random state, threads, CUDA queries.
#pragma once

struct lua_State;

namespace trainhost::bindings {

// Sets manual_seed, set_num_threads ... in the module table on top of the stack.
void set_process_functions(lua_State* L);

}  // namespace trainhost::bindings
