// The one converter between Lua values and what operators take and return.
#pragma once

#include "bindings/tensor.h"
#include "host/tensor/catalog.h"

namespace trainhost::bindings {

// How far a value may be bent to fit. `exact` is what PyTorch's own parser takes: a tensor of one element is a number,
// too, unless it requires a gradient. `lenient`, tried only when no overload takes the values so, also takes a float of
// integer value as an integer: 28/2 is 14.0 in Lua. `keywords` comes last: what may be None may then be absent, since a
// table of keywords cannot hold nil.
enum class Fit { exact, lenient, keywords };

// Converts the value at `index` for `argument`; false if it does not fit. Throws only for a value of the right
// kind that is wrong in itself (a device name, a closed tensor).
bool to_ivalue(lua_State* L, int index, const tensor::Argument& argument, Fit fit, c10::IValue& out);
// The same for a type that no Kind tells whole: a table for a list, for a tuple (of its length) and for a dict (its
// keys in order, so that they come in one order each time); torch.None or nil where it is optional.
bool to_nested(lua_State* L, int index, const c10::Type& type, Fit fit, c10::IValue& out);
bool to_integer(lua_State* L, int index, Fit fit, int64_t& out);

// Pushes one result. `fresh`: its tensors are new memory, to be charged to the collector.
void push_ivalue(lua_State* L, c10::IValue value, bool fresh);

// The number, boolean or complex number at `index` as a Scalar of Lua's own subtype (an integer stays an integer);
// nullopt for other values.
std::optional<at::Scalar> to_scalar(lua_State* L, int index);
void push_scalar(lua_State* L, const at::Scalar& scalar);
// A 0-dim tensor that promotes as a number does, for an operator whose other operand is `beside` (null: a number).
at::Tensor number_tensor(const at::Scalar& scalar, const at::Tensor* beside);

}  // namespace trainhost::bindings
