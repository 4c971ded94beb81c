// What `require` finds: the standard library before all else, the native modules behind it, the files beside a script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

struct lua_State;

namespace trainhost::vm {

using NativeOpener = int (*)(lua_State*);  // a lua_CFunction that returns the module

// In a new state: puts the standard library first in package.searchers, and the native modules into `require`, for
// chunks of the standard library alone.
void open_modules(lua_State* L);
// Adds a native module, "native.NOUN".
void add_native(lua_State* L, const char* name, NativeOpener open);
// Pushes the native module of that name, opened when it is first asked for. Raises Lua errors.
void push_native(lua_State* L, const char* name);
// The names of the native modules, sorted.
std::vector<std::string> native_names(lua_State* L);

// The text of a file of the standard library ("torch/nn/init.lua"), from the program or from --stdlib's folder. Throws
// a usage error if there is none of that name, an io error if it cannot be read.
std::string stdlib_text(lua_State* L, std::string_view file);

// Has modules searched for in the script's folder first. Raises Lua errors.
void search_beside(lua_State* L, const std::string& script);

}  // namespace trainhost::vm
