// A call that ends alone: os.exit in it, or Interrupts::cancel, ends the call and not the script.
#pragma once

#include "host/vm/interrupt.h"

namespace trainhost::vm {

// Within `bound`: calls the function at `function` with what stands above it on the stack, as lua_pcall does, and
// leaves in its place "returned" and the results, "failed" and the error, "cancelled", or "exited" and os.exit's code.
// Returns how many. An interruption of the script itself goes on.
int contained_call(lua_State* L, int function, Interrupts::Bound& bound);

}  // namespace trainhost::vm
