// torch.scope.
#pragma once

struct lua_State;

namespace trainhost::bindings {

// Sets scope in the module table on top of the stack.
void set_scope_functions(lua_State* L);

}  // namespace trainhost::bindings
