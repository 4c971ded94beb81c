// Calls of catalogued operators from Lua.
#pragma once

#include <lua.hpp>
#include <string_view>

#include "host/tensor/catalog.h"

namespace trainhost::bindings {

// How an operator is called: torch.NAME(...), x:NAME(...), or by Lua as the metamethod of a binary operator whose
// operands can change places (Python's 2 * x is x * 2, bit for bit) or of a unary one (which gets its operand twice).
enum class Form { function, method, commutative, unary };

// Pushes the operator as a Lua function.
void push_operator(lua_State* L, const tensor::Operator& op, Form form);
// Pushes the operator of that name; false (nothing pushed) if there is none in this form.
bool push_operator(lua_State* L, std::string_view name, Form form);

// "did you mean 'relu', 'prelu' or 'selu'?" of the operators whose names are near; empty if none is.
std::string nearest_operators(std::string_view name, bool method);

}  // namespace trainhost::bindings
