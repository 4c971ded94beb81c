// native.json: Lua values as JSON text and back; Python's json reads and writes the same (NaN and Infinity too).
#include "bindings/json.h"

#include "bindings/guard.h"
#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

const char kListMark = 0;  // its address is the registry key

int encode(lua_State* L) {
  int indent = 0;
  NaN nan = NaN::literal;
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_istable(L, 2)) throw_argument(L, "json.encode", "options", "a table {indent = n, nan = how}", 2);
    if (lua_getfield(L, 2, "indent") != LUA_TNIL) indent = static_cast<int>(lua_tointeger(L, -1));
    if (indent < 0 || indent > 16) throw_argument(L, "json.encode", "indent", "an integer from 0 to 16", -1);
    if (lua_getfield(L, 2, "nan") != LUA_TNIL) {
      const std::string how = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
      if (how == "null") nan = NaN::null;
      else if (how == "error") nan = NaN::error;
      else if (how != "literal") throw_argument(L, "json.encode", "nan", "\"literal\", \"null\" or \"error\"", -1);
    }
  }
  lua_settop(L, 1);
  const std::string text = encode_json(L, 1, indent, nan);
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int decode(lua_State* L) {
  decode_json(L, check_string(L, 1, "json.decode", "text"));
  return 1;
}

int mark_array(lua_State* L) {
  if (lua_isnoneornil(L, 1)) lua_newtable(L);
  else if (!lua_istable(L, 1)) throw_argument(L, "json.array", "list", "a table", 1);
  else lua_pushvalue(L, 1);
  push_list_mark(L);
  lua_setmetatable(L, -2);
  return 1;
}

constexpr Row kRows[] = {
    {"encode", guarded<encode>,
     "Writes a value as JSON: tables with keys 1..n as lists, with string keys as objects in sorted order, `{}` as an\n"
     "object unless json.array marks it.\n@param value any\n@param options {indent: integer, nan: string}|nil indent\n"
     "spaces a level, 0 for one line; nan: \"literal\" (NaN, Infinity, as Python does), \"null\" or \"error\"\n"
     "@return string"},
    {"decode", guarded<decode>,
     "Reads JSON: null is json.null, whole numbers are integers, lists are marked as json.array does.\n"
     "@param text string\n@return any"},
    {"array", guarded<mark_array>,
     "Marks a table as a list, so that an empty one is written `[]`.\n@param list table|nil\n@return table"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

void push_list_mark(lua_State* L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &kListMark); }

int open_json(lua_State* L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kListMark);
  lua_newtable(L);
  set_functions(L, kRows);
  lua_pushlightuserdata(L, nullptr);
  lua_setfield(L, -2, "null");
  return 1;
}

}  // namespace trainhost::bindings
