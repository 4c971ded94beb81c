// Which overload of an operator takes the values of a call.
#pragma once

#include <array>
#include <lua.hpp>
#include <string>

#include "bindings/ops_call.h"
#include "bindings/value.h"
#include "host/tensor/catalog.h"

namespace trainhost::bindings {

// The Lua index of each argument's value; 0: not given.
using Slots = std::array<int, kMostArguments>;

// The argument of that name or alias ("axis" for "dim"); as many as there are if there is none.
size_t find_argument(const tensor::Overload& overload, std::string_view keyword);
// Is it dtype, layout, device, pin_memory or requires_grad?
bool is_option(std::string_view name);
// Fills `slots`. False if the values cannot be placed. `varargs`: numbers stand for the one list.
bool place(const tensor::Overload& overload, const Call& call, bool method, Slots& slots, bool& varargs);
// Converts everything the overload takes. `misfit`: the argument that did not fit, and the index of its value.
bool bind(lua_State* L, const tensor::Operator& op, const tensor::Overload& overload, Call& call, bool method, Fit fit,
          tensor::Stack& stack, const tensor::Argument** misfit = nullptr, int* misfit_index = nullptr);
// Finds the overload and leaves its converted arguments on `stack`; a usage error if there is none.
const tensor::Overload& choose(lua_State* L, const tensor::Operator& op, Call& call, bool method, tensor::Stack& stack);

// "torch.add", "Tensor.add", "torch.linalg.norm".
std::string public_name(const tensor::Operator& op, bool method);
// Says once that this signature is an old one, as PyTorch does.
void warn_deprecated(lua_State* L, const tensor::Operator& op, const tensor::Overload& overload, bool method);
// One overload fits by arity: names the argument. Else lists the signatures, as PyTorch does.
[[noreturn]] void throw_no_overload(lua_State* L, const tensor::Operator& op, Call& call, bool method);

}  // namespace trainhost::bindings
