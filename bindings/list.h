// Lists of integers and of named tensors, from Lua and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <lua.hpp>
#include <string>
#include <utility>
#include <vector>

namespace trainhost::bindings {

// The integers of the list, or of the 1-dimensional integer tensor, at `index`; a usage error names argument and place.
std::vector<int64_t> check_indices(lua_State* L, int index, const char* function, const char* name);
void push_integers(lua_State* L, const std::vector<int64_t>& integers);

// The pairs of the list {{name, tensor}, ...} at `index`.
std::vector<std::pair<std::string, at::Tensor>> check_pairs(lua_State* L, int index, const char* function);

}  // namespace trainhost::bindings
