// Which operators a script reaches under PyTorch's names, without torch.ops.
#pragma once

#include <string_view>

namespace trainhost::tensor {

// False for what PyTorch does not bind to Python (derivatives, backend hooks, internals) and for what ends the process
// when it is given wild values: those are reached through torch.ops.aten alone.
bool is_public_name(std::string_view name) noexcept;

}  // namespace trainhost::tensor
