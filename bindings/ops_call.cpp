// Reading the values of a call.
#include "bindings/ops_call.h"

#include "host/base/error.h"

namespace trainhost::bindings {
namespace {

// Does the table at `index` have string keys (and are all keys strings)?
struct Keys {
  bool strings = false, others = false;
};
Keys keys_of(lua_State* L, int index) {
  Keys keys;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    (lua_type(L, -2) == LUA_TSTRING ? keys.strings : keys.others) = true;
    lua_pop(L, 1);
    if (keys.others && keys.strings) {
      lua_pop(L, 1);
      break;
    }
  }
  return keys;
}

}  // namespace

void read_call(lua_State* L, bool method, Call& call) {
  call.positional = lua_gettop(L);
  const int last = call.positional;
  if (last == 0 || !lua_istable(L, last)) return;
  const bool is_list = lua_rawlen(L, last) > 0;
  const bool sole = last == (method ? 2 : 1);
  if (is_list && !sole) return;
  const Keys keys = keys_of(L, last);
  if (!keys.strings || (keys.others && !is_list)) return;
  luaL_checkstack(L, 2 * kMostArguments, "keyword arguments");
  int table = last;
  if (is_list) {
    const lua_Integer size = static_cast<lua_Integer>(lua_rawlen(L, last));
    luaL_checkstack(L, static_cast<int>(size) + 4, "arguments");
    for (lua_Integer i = 1; i <= size; ++i) {  // the table moves up above its elements
      lua_rawgeti(L, last + static_cast<int>(i) - 1, i);
      lua_insert(L, last + static_cast<int>(i) - 1);
    }
    call.positional = last - 1 + static_cast<int>(size);
    table = call.positional + 1;
  } else {
    call.positional = last - 1;
  }
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 1);
      continue;
    }
    const std::string_view name = lua_tostring(L, -2);
    if (call.keyword_count == kMostArguments) throw_usage("too many keyword arguments");
    const int index = lua_gettop(L) - 1;  // after the insert the value lies below its key
    lua_insert(L, index);
    if (name == "out") call.out = index;
    else call.keywords[call.keyword_count++] = {name.data(), name.size(), index};
  }
}

}  // namespace trainhost::bindings
