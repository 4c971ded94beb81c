// The one converter between Lua values and what operators take and return.
#pragma once

#include "bindings/tensor.h"
#include "host/tensor/catalog.h"

namespace trainhost::bindings {

// How far a value may be bent to fit. `exact` takes it as it is; `lenient`, tried only when no overload takes it
// exactly, also takes a float of integer value as an integer (28/2 is 14.0 in Lua), a tensor of one element as a
// number and, for the operators where PyTorch does, a number as a tensor.
enum class Fit { exact, lenient, lenient_numbers_as_tensors };

// Converts the value at `index` for `argument`; false if it does not fit. Throws only for a value of the right
// kind that is wrong in itself (a device name, a closed tensor).
bool to_ivalue(lua_State* L, int index, const tensor::Argument& argument, Fit fit, c10::IValue& out);

// Pushes one result. `fresh`: its tensors are new memory, to be charged to the collector.
void push_ivalue(lua_State* L, c10::IValue value, bool fresh);

// The number at `index` as a Scalar of Lua's own subtype (an integer stays an integer); nullopt for other values.
std::optional<at::Scalar> to_scalar(lua_State* L, int index);
void push_scalar(lua_State* L, const at::Scalar& scalar);
// A 0-dim tensor that promotes as a number does, for an operator whose other operand is `beside` (null: a number).
at::Tensor number_tensor(const at::Scalar& scalar, const at::Tensor* beside);

}  // namespace trainhost::bindings
