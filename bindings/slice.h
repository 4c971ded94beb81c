// The two values that only make sense in a key of a tensor: torch.None and torch.slice; and what keys are read with.
#pragma once

#include <cstdint>
#include <lua.hpp>
#include <optional>

#include "bindings/guard.h"

namespace trainhost::tensor {
struct Slice;
}

namespace trainhost::bindings {

// torch.None: a new dimension in a key, and None where a table cannot hold nil. One value per state.
void push_none(lua_State* L);
bool is_none(lua_State* L, int index) noexcept;
// torch.slice(stop), torch.slice(start, stop, step): as Python's slice; nil or torch.None leaves a side open.
int slice(lua_State* L);
// The slice at `index`, else null.
tensor::Slice* test_slice(lua_State* L, int index) noexcept;
// Is the value at `index` a slice of a list: a torch.slice, or a text such as "1:3"?
bool is_slice(lua_State* L, int index) noexcept;
// slice_indices(key, size): the indices that a slice has in a list of that size, from 0, in its order; nil if the key
// is none. Counted as by Python's slice.indices, negative steps too.
int slice_indices(lua_State* L);

// An integer, also as a float of exact integer value (28/2 is 14.0).
std::optional<int64_t> integer_at(lua_State* L, int index);
// Pushes the locked metatable kept under `key`; makes it from `rows` at the first use.
void push_metatable(lua_State* L, const char* key, const char* name, const Row* rows);
// Is the value at `index` a userdata with that metatable?
bool has_metatable(lua_State* L, int index, const char* key) noexcept;

}  // namespace trainhost::bindings
