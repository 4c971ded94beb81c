// Documents of PyTorch files as Lua values and back.
#pragma once

#include <lua.hpp>

#include "host/save/torch_file.h"

namespace trainhost::bindings {

// What stdlib/torch/serialization.lua gives along, a table at `kinds`: new(kind) makes an ordered table, set_none(t,
// key) keeps a key whose value is nil, `list` and `tuple` are metatables, `none` stands for None in a list.

// Pushes the value of a file whose storages have their data: dicts as ordered tables, lists and tuples as tables from
// 1 on, shared ones shared. Nothing recurses.
void push_document(lua_State* L, save::TorchFile& file, int kinds);
// The value at `index`. Usage error with the place of what no file can hold; `function` begins it.
save::Document check_document(lua_State* L, int index, int kinds, const char* function);

}  // namespace trainhost::bindings
