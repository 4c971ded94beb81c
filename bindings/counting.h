// ipairs and table.unpack, which count from 1.
#pragma once

struct lua_State;

namespace trainhost::bindings {

// They refuse what counts from 0, tensors and modules, and say what to write instead.
void refuse_counting_from_one(lua_State* L);

}  // namespace trainhost::bindings
