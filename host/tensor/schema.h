// The dispatcher's schemas as Overloads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/tensor/catalog.h"

namespace trainhost::tensor {

// Reads a schema; nullopt where Lua could give no value for an argument that needs one.
std::optional<Overload> read_overload(const c10::OperatorHandle& handle);
// What a value of that type is read as; `unsupported` where Lua has none.
Kind kind_of(const c10::Type& type);
// What Python's binding of torch.`name` has otherwise than the operator: the default reduction of some losses is none,
// what makes a tensor like another cuts off its history.
void bind_as_python(std::string_view name, Overload& overload);
// The signatures of old that PyTorch still takes for this overload of `name`: addmm(beta, input, mat1, mat2).
std::vector<Overload> deprecated_forms(const std::string& name, const Overload& overload);
// In the order in which PyTorch's parser tries them, deprecated ones last.
std::vector<Overload> in_order(std::vector<Overload> overloads, const std::vector<Overload>& outs);

}  // namespace trainhost::tensor
