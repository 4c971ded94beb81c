// Calls of catalogued operators from Lua.
#pragma once

#include <lua.hpp>
#include <string_view>

#include "host/tensor/catalog.h"

namespace trainhost::bindings {

// Pushes the operator as a Lua function: torch.NAME(...), or with `method` as x:NAME(...).
void push_operator(lua_State* L, const tensor::Operator& op, bool method);
// Pushes the method or function of that name; false (nothing pushed) if there is none.
bool push_operator(lua_State* L, std::string_view name, bool method);

// "did you mean 'relu', 'prelu' or 'selu'?" of the operators whose names are near; empty if none is.
std::string nearest_operators(std::string_view name, bool method);

}  // namespace trainhost::bindings
