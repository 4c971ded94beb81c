// Lua values as JSON text and back.
#pragma once

#include <lua.hpp>
#include <string>
#include <string_view>

namespace trainhost::bindings {

constexpr int kMostJsonDepth = 200;

enum class NaN { literal, null, error };

// The value at `index` as text, with `indent` spaces a level, or in one line for 0.
std::string encode_json(lua_State* L, int index, int indent, NaN nan);
// Pushes the one value that the text holds.
void decode_json(lua_State* L, std::string_view text);

// Pushes the metatable of tables that are lists, also when they are empty.
void push_list_mark(lua_State* L);

}  // namespace trainhost::bindings
