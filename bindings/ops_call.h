// What a script gave to an operator: positional values and keywords, before an overload is chosen.
#pragma once

#include <array>
#include <lua.hpp>
#include <string>
#include <string_view>

#include "host/tensor/catalog.h"

namespace trainhost::bindings {

constexpr int kMostArguments = 48;

// Trivial, so that the array below costs nothing where there are none.
struct Keyword {
  const char* text;
  size_t size;
  int index;  // of its value on the Lua stack

  std::string_view name() const { return {text, size}; }
};

// What the script gave: positional values at 1..positional, keywords with their values above.
struct Call {
  int positional = 0;
  int keyword_count = 0;
  int out = 0;      // index of out=, 0 if not given
  int written = 0;  // index of the value that an in-place operator writes to and returns
  std::array<Keyword, kMostArguments> keywords;
};

// Reads the Lua stack. A last table is keywords if and only if it is not empty and all its keys are strings. As the
// sole argument a table may mix a list with keywords: torch.zeros{2, 3, dtype = torch.float64}.
void read_call(lua_State* L, bool method, Call& call);

}  // namespace trainhost::bindings
