// Checks that PyTorch's own kernels leave out: without them a wrong argument of these operators ends the process by a
// signal instead of an error, in Python as here. Found by tests/fuzz; each has a case in tests/lua/tensor/guards.lua.
// What needs none: a sparse tensor made with check_invariants = false, whose script vouches for the indices that every
// operator on it reads by (without that word they are checked, see Note [Sparse indices are checked]); and internal
// operators that have no name in torch.
#pragma once

#include <string_view>

#include "host/tensor/catalog.h"

namespace trainhost::tensor {

// Throws a c10::Error (or Error) that names what is wrong with the arguments on the stack.
using Guard = void (*)(const Overload& overload, const Stack& stack);

// The guard of the operator `qualified_name` ("aten::lstm"), or null: nearly all have none.
Guard find_guard(std::string_view qualified_name);

}  // namespace trainhost::tensor
