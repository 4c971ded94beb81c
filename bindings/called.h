// What a script called when an error arises inside the standard library.
#pragma once

#include <lua.hpp>
#include <string>

#include "host/vm/errors.h"

namespace trainhost::bindings {

// The function of a namespace of torch, the method of Tensor, or the layer whose forward the user's innermost line
// runs.
struct Called {
  std::string name;  // "F.cross_entropy", "torch.norm", "nn.Linear"; empty if it is none of these
  bool tail =
      false;  // it was called as `return f(x)`: Lua dropped the frame that called it, the line is one further out
};

Called called(lua_State* L);
// Says so in the fault of an error whose line is not the caller's.
void explain_tail(const Called& called, vm::Fault& fault);
// Is the frame that the user's innermost line called a tail call? Cheaper than `called`, which looks for its name.
bool maybe_tail(lua_State* L);

}  // namespace trainhost::bindings
