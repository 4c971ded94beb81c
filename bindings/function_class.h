// What the class of a torch.autograd.Function has: its methods by name, and a call of its forward.
#pragma once

#include <lua.hpp>

namespace trainhost::bindings {

// Pushes what the class of the ctx on top of the stack has under `name`; returns its type.
int push_from_class(lua_State* L, const char* name);
// forward(ctx, ...), or forward(...) and then setup_context(ctx, inputs, output). The ctx lies at `ctx`, the arguments
// right above; the results are left on top, their number is returned.
int call_forward(lua_State* L, int ctx, int arguments);

}  // namespace trainhost::bindings
