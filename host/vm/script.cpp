// The list of functions to run at the end, and the record of parameters read: both in Lua's registry.
#include "host/vm/script.h"

#include <algorithm>
#include <lua.hpp>
#include <set>
#include <utility>

#include "host/vm/errors.h"
#include "host/vm/state.h"

namespace trainhost::vm {
namespace {

const char kAtExit = 0, kParamsRead = 0;  // their addresses are registry keys

// Pushes the table of that key, made when it is first needed.
void push_table(lua_State* L, const void* key) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

// The next part of "a.b.c" is pushed; false at the end.
bool push_part(lua_State* L, std::string_view& rest) {
  if (rest.empty()) return false;
  const size_t dot = rest.find('.');
  lua_pushlstring(L, rest.data(), dot == std::string_view::npos ? rest.size() : dot);
  rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  return true;
}

std::string_view text_at(lua_State* L, int index) {
  size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

int get_named(lua_State* L) {
  std::string_view rest = text_at(L, 1);
  lua_pushglobaltable(L);
  while (!lua_isnil(L, -1) && push_part(L, rest)) {
    lua_gettable(L, -2);
    lua_remove(L, -2);
  }
  return 1;
}

// Arguments: the name, the value.
int store_named(lua_State* L) {
  std::string_view rest = text_at(L, 1);
  lua_pushglobaltable(L);
  while (push_part(L, rest)) {
    if (rest.empty()) {
      lua_pushvalue(L, 2);
      lua_settable(L, -3);
      return 0;
    }
    lua_pushvalue(L, -1);
    if (lua_gettable(L, -3) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_newtable(L);
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_settable(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
  return luaL_error(L, "set: the name is empty");
}

}  // namespace

bool push_named(State& state, std::string_view name) {
  lua_pushcfunction(state.lua(), get_named);
  lua_pushlstring(state.lua(), name.data(), name.size());
  const bool found = state.call(1, 1) == 1;
  if (!state.interrupts().requested()) return found;
  lua_pop(state.lua(), found);  // the next call would forget the request
  throw Error(ErrorKind::interrupted, "interrupted");
}

bool push_function(State& state, std::string_view name) {
  if (!push_named(state, name)) return false;
  if (!lua_isnil(state.lua(), -1)) return true;
  lua_pop(state.lua(), 1);
  throw_usage("the script has no function '" + std::string(name) + "'");
}

void set_named(State& state, std::string_view name) {
  lua_State* L = state.lua();
  lua_pushcfunction(L, store_named);
  lua_pushlstring(L, name.data(), name.size());
  lua_rotate(L, -3, 2);
  state.call(2, 0);
}

void at_exit(lua_State* L) {
  push_table(L, &kAtExit);
  lua_insert(L, -2);
  lua_rawseti(L, -2, static_cast<lua_Integer>(lua_rawlen(L, -2)) + 1);
  lua_pop(L, 1);
}

std::vector<std::string> run_at_exit(State& state, std::string_view status) {
  lua_State* L = state.lua();
  std::vector<std::string> failures;
  if (!lua_checkstack(L, 8)) return failures;
  for (;;) {
    // Else what a post throws would take the place of a function's call.
    try {
      state.interrupts().run_posted();
    } catch (const Error& e) {
      failures.push_back(e.what());
      continue;
    }
    push_table(L, &kAtExit);
    const auto count = static_cast<lua_Integer>(lua_rawlen(L, -1));
    if (count == 0) {
      lua_pop(L, 1);
      return failures;
    }
    lua_rawgeti(L, -1, count);
    lua_pushnil(L);
    lua_rawseti(L, -3, count);
    lua_remove(L, -2);
    lua_pushlstring(L, status.data(), status.size());
    try {
      state.call(1, 0);
    } catch (const Error& e) {
      failures.push_back(e.what());
    }
  }
}

const std::string* read_param(lua_State* L, const std::string& name) {
  push_table(L, &kParamsRead);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name.c_str());
  lua_pop(L, 1);
  const auto& params = State::of(L).options().params;
  const auto found = params.find(name);
  return found == params.end() ? nullptr : &found->second;
}

std::vector<UnreadParam> unread_params(State& state) {
  lua_State* L = state.lua();
  std::vector<std::string> read;
  push_table(L, &kParamsRead);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) read.push_back(lua_tostring(L, -2));
  lua_pop(L, 1);
  std::sort(read.begin(), read.end());
  std::vector<UnreadParam> unread;
  for (const auto& [name, value] : state.options().params)
    if (!std::binary_search(read.begin(), read.end(), name)) unread.push_back({name, nearest(name, read, 3)});
  return unread;
}

std::vector<std::string> nearest(std::string_view wanted, const std::vector<std::string>& names, size_t most) {
  std::vector<std::pair<size_t, const std::string*>> found;
  for (const auto& name : names) {
    const size_t distance = edit_distance(wanted, name);
    const size_t longer = std::max(wanted.size(), name.size());
    const bool contains = wanted.size() >= 3 && name.size() >= 3 &&
                          (name.find(wanted) != std::string::npos || wanted.find(name) != std::string_view::npos);
    if (distance <= (longer + 2) / 3 || contains) found.emplace_back(distance, &name);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> best;
  for (size_t i = 0; i < found.size() && i < most; ++i) best.push_back(*found[i].second);
  return best;
}

}  // namespace trainhost::vm
