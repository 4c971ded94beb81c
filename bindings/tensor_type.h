// The pieces of the Tensor type that bindings/tensor.cpp puts together.
#pragma once

#include <ATen/core/Tensor.h>

#include <lua.hpp>

namespace trainhost::bindings {

// x:free() and the end of `local x <close>`.
int tensor_close(lua_State* L);
// Set shape, dtype, grad ... in the table on top of the stack: getters, called with the tensor at 1.
void set_attributes(lua_State* L);
// tensor.name = value for what can be assigned; stack: tensor, name, value.
void assign_attribute(lua_State* L, const char* name);
// Set size, numel, iter ... in the methods table on top of the stack.
void set_tensor_methods(lua_State* L);
// Sets __add, __len, __tostring ..., in the metatable on top of the stack.
void set_tensor_metamethods(lua_State* L);
// Makes __index of the methods and attributes tables on top of the stack, which it pops.
void push_tensor_index(lua_State* L);
// The tensor at 1, for a method of that name in PyTorch that needs the shape: its error where that is not known yet.
const at::Tensor& shaped_tensor(lua_State* L, const char* method);

}  // namespace trainhost::bindings
