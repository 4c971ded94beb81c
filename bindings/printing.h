// tostring(tensor) and the print options of a state.
#pragma once

#include <ATen/core/Tensor.h>

#include <lua.hpp>
#include <string>

namespace trainhost::bindings {

// As Python's repr, with the options that this state's script has set.
std::string tensor_text(lua_State* L, const at::Tensor& tensor, bool parameter);
// torch.set_printoptions{precision, threshold, edgeitems, linewidth, profile, sci_mode}, also by position.
int set_printoptions(lua_State* L);
// torch.get_printoptions(): a table of the same keys, without the profile.
int get_printoptions(lua_State* L);

}  // namespace trainhost::bindings
