// Keyword tables, and checks that name the argument.
#include "bindings/keywords.h"

#include <algorithm>
#include <string>

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

}  // namespace

Keywords::Keywords(lua_State* L, const char* function, int first, std::initializer_list<const char*> names) {
  int last = lua_gettop(L);
  const int table = last >= first && is_keywords(L, last) ? last-- : 0;
  const auto valid = [&] {
    std::string text = "valid are";
    for (const char* name : names) text += (text.back() == 'e' ? " " : ", ") + std::string(name);
    return text;
  };
  if (last - first + 1 > static_cast<int>(names.size()))
    throw_usage(std::string(function) + ": too many arguments, expected at most " + std::to_string(names.size()) +
                    ", got " + std::to_string(last - first + 1),
                valid());
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
  if (unknown) throw_usage(std::string(function) + ": unknown keyword '" + unknown + "'", valid());
  if (twice) throw_usage(std::string(function) + ": '" + twice + "' is given by position and by keyword");
}

int Keywords::find(std::string_view name) const noexcept {
  for (const Value& value : values_)
    if (value.name == name) return value.index;
  return 0;
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
