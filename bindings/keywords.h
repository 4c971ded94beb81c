// Positional and keyword arguments of native functions that are no operators.
#pragma once

#include <initializer_list>
#include <lua.hpp>
#include <string_view>
#include <vector>

namespace trainhost::bindings {

// Reads f(a, b, {name = value}): positional values from the Lua index `first` on take `names` in order, a last
// table of string keys gives the rest by name. Unknown names, and names given twice, are usage errors that list
// the valid ones. The values stay on the Lua stack while the object lives.
class Keywords {
 public:
  Keywords(lua_State* L, const char* function, int first, std::initializer_list<const char*> names);
  // The Lua index of the value given for `name`; 0 if it was not given or is nil.
  int find(std::string_view name) const noexcept;

 private:
  struct Value {
    std::string_view name;
    int index;
  };
  std::vector<Value> values_;
};

// For a function that reads its values by position: a table of keywords, the last value or the one before the function
// that a mode calls, is replaced by its values, each at the place of its name (nil where it has none). `first` is the
// Lua index of the first name. The same usage errors as Keywords.
void spread_keywords(lua_State* L, const char* function, int first, std::initializer_list<const char*> names);

// A function, or a value with __call: a module.
bool is_callable(lua_State* L, int index);

bool check_boolean(lua_State* L, int index, const char* function, const char* name);
lua_Integer check_integer(lua_State* L, int index, const char* function, const char* name);
double check_number(lua_State* L, int index, const char* function, const char* name);
std::string_view check_string(lua_State* L, int index, const char* function, const char* name);

}  // namespace trainhost::bindings
