// Reading the values of a call.
#include "bindings/ops_call.h"

#include "host/base/error.h"

namespace trainhost::bindings {
namespace {

// Moves the values of the string keys of the table at `index` above it. False as soon as a key is no string, unless
// `mixed`: a list has others, too.
bool take_keywords(lua_State* L, int index, bool mixed, Call& call) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      if (!mixed) return false;
      lua_pop(L, 1);
      continue;
    }
    size_t size = 0;
    const char* text = lua_tolstring(L, -2, &size);
    if (call.keyword_count == kMostArguments) throw_usage("too many keyword arguments");
    const int value = lua_gettop(L) - 1;  // after the insert the value lies below its key
    lua_insert(L, value);
    if (std::string_view(text, size) == "out") call.out = value;
    else call.keywords[call.keyword_count++] = {text, size, value};
  }
  return true;
}

bool has_string_key(lua_State* L, int index) {
  bool found = false;
  lua_pushnil(L);
  while (!found && lua_next(L, index)) {
    found = lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 1);
  }
  if (found) lua_pop(L, 1);
  return found;
}

}  // namespace

void read_call(lua_State* L, bool method, Call& call) {
  const int last = call.positional = lua_gettop(L);
  if (last == 0 || !lua_istable(L, last)) return;
  if (lua_getmetatable(L, last)) return lua_pop(L, 1);  // an object: a value
  const auto size = static_cast<int>(lua_rawlen(L, last));
  if (size == 0) {
    luaL_checkstack(L, 2 * kMostArguments, "keyword arguments");
    if (take_keywords(L, last, /*mixed=*/false, call) && lua_gettop(L) > last) {
      call.positional = last - 1;
    } else {  // an empty table, or not all keys are strings: a value
      lua_settop(L, last);
      call.keyword_count = call.out = 0;
    }
    return;
  }
  const bool sole = last == (method ? 2 : 1);
  if (!sole || !has_string_key(L, last)) return;
  luaL_checkstack(L, size + 4 + 2 * kMostArguments, "arguments");
  for (int i = 0; i < size; ++i) {  // the table moves up above its elements
    lua_rawgeti(L, last + i, i + 1);
    lua_insert(L, last + i);
  }
  call.positional = last - 1 + size;
  take_keywords(L, last + size, /*mixed=*/true, call);
}

}  // namespace trainhost::bindings
