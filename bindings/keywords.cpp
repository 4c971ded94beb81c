// Keyword tables, and checks that name the argument.
#include "bindings/keywords.h"

#include <algorithm>
#include <string>

#include "bindings/dtype.h"
#include "bindings/guard.h"

namespace trainhost::bindings {
namespace {

// Not empty, all keys strings, and no object.
bool is_keywords(lua_State* L, int index) {
  if (!lua_istable(L, index) || lua_rawlen(L, index) > 0) return false;
  if (lua_getmetatable(L, index)) return lua_pop(L, 1), false;
  bool any = false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    any = true;
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      lua_pop(L, 1);
      return false;
    }
  }
  return any;
}

std::string list_of_valid(std::initializer_list<const char*> names) {
  std::string text = "valid are";
  for (const char* name : names) text += (text.back() == 'e' ? " " : ", ") + std::string(name);
  return text;
}

[[noreturn]] void throw_unknown(const char* function, const char* key, std::initializer_list<const char*> names) {
  throw_usage(std::string(function) + ": unknown keyword '" + key + "'", list_of_valid(names));
}

[[noreturn]] void throw_twice(const char* function, const char* key) {
  throw_usage(std::string(function) + ": '" + key + "' is given by position and by keyword");
}

[[noreturn]] void throw_too_many(const char* function, int got, std::initializer_list<const char*> names) {
  throw_usage(std::string(function) + ": too many arguments, expected at most " + std::to_string(names.size()) +
                  ", got " + std::to_string(got),
              list_of_valid(names));
}

}  // namespace

bool is_callable(lua_State* L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  return lua_pop(L, 1), true;
}

Keywords::Keywords(lua_State* L, const char* function, int first, std::initializer_list<const char*> names) {
  int last = lua_gettop(L);
  const int table = last >= first && is_keywords(L, last) ? last-- : 0;
  if (last - first + 1 > static_cast<int>(names.size())) throw_too_many(function, last - first + 1, names);
  for (int i = first; i <= last; ++i)
    if (!lua_isnil(L, i)) values_.push_back({names.begin()[i - first], i});
  if (!table) return;
  luaL_checkstack(L, static_cast<int>(names.size()) + 4, "keyword arguments");
  const char *unknown = nullptr, *twice = nullptr;  // the first of each in sorted order
  const auto note = [](const char*& first, const char* key) {
    if (!first || std::string_view(key) < first) first = key;
  };
  lua_pushnil(L);
  while (lua_next(L, table)) {
    const char* key = lua_tostring(L, -2);
    const auto name =
        std::find_if(names.begin(), names.end(), [&](const char* n) { return std::string_view(n) == key; });
    if (name == names.end() || find(*name)) {
      note(name == names.end() ? unknown : twice, key);
      lua_pop(L, 1);
      continue;
    }
    const int index = lua_gettop(L) - 1;
    lua_insert(L, index);
    values_.push_back({*name, index});
  }
  if (unknown) throw_unknown(function, unknown, names);
  if (twice) throw_twice(function, twice);
}

int Keywords::find(std::string_view name) const noexcept {
  for (const Value& value : values_)
    if (value.name == name) return value.index;
  return 0;
}

void spread_keywords(lua_State* L, const char* function, int first, std::initializer_list<const char*> names) {
  const int top = lua_gettop(L), count = static_cast<int>(names.size());
  int table = first;
  bool calls = false;  // what follows a function is for it
  const auto is_function = [L](int i) { return is_callable(L, i) && !test<at::Device>(L, i); };
  const auto is_here = [&](int i) {
    return lua_istable(L, i) && (i == top || is_function(i + 1)) && is_keywords(L, i);
  };
  for (; table <= first + count && table <= top && !is_here(table); ++table) calls = calls || is_function(table);
  if (table > top || table > first + count) {
    int last = top;
    while (last >= first && lua_isnil(L, last)) --last;
    if (!calls && last >= first + count) throw_too_many(function, last - first + 1, names);
    return;
  }
  if (calls) return;
  const char* unknown = nullptr;  // the first in sorted order
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    const char* key = lua_tostring(L, -1);
    const auto is_key = [&](const char* name) { return std::string_view(name) == key; };
    const auto name = std::find_if(names.begin(), names.end(), is_key);
    if (name == names.end() && (!unknown || std::string_view(key) < unknown)) unknown = key;
    if (name != names.end() && name - names.begin() < table - first) throw_twice(function, *name);
  }
  if (unknown) throw_unknown(function, unknown, names);
  luaL_checkstack(L, count + 4, "keyword arguments");
  lua_rotate(L, table, -1);
  for (int i = table; i < first + count; ++i) {
    lua_pushstring(L, names.begin()[i - first]);
    lua_rawget(L, -2);
    lua_insert(L, i);
  }
  lua_pop(L, 1);
}

bool check_boolean(lua_State* L, int index, const char* function, const char* name) {
  if (!lua_isboolean(L, index)) throw_argument(L, function, name, "a boolean", index);
  return lua_toboolean(L, index);
}

lua_Integer check_integer(lua_State* L, int index, const char* function, const char* name) {
  int exact = 0;
  const lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : 0;
  if (!exact) throw_argument(L, function, name, "an integer", index);
  return value;
}

double check_number(lua_State* L, int index, const char* function, const char* name) {
  if (lua_type(L, index) != LUA_TNUMBER) throw_argument(L, function, name, "a number", index);
  return lua_tonumber(L, index);
}

std::string_view check_string(lua_State* L, int index, const char* function, const char* name) {
  if (lua_type(L, index) != LUA_TSTRING) throw_argument(L, function, name, "a string", index);
  size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

}  // namespace trainhost::bindings
