// Error values in Lua, and the message handler.
#include "host/vm/errors.h"

#include <algorithm>
#include <cstdlib>
#include <lua.hpp>
#include <new>
#include <string_view>
#include <vector>

#include "host/vm/script.h"
#include "host/vm/traceback.h"

namespace trainhost::vm {
namespace {

const char kErrorMetatable = 0;                    // its address is the registry key
const char kHints = 0;                             // {how a message ends = its hint}
constexpr char kNoMemory[] = "not enough memory";  // Lua's own words
constexpr int kDeepestClass = 8;

bool is_error(lua_State* L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kErrorMetatable);
  const bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

std::string field(lua_State* L, int index, const char* name) {
  lua_getfield(L, index, name);
  size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  std::string value = text ? std::string(text, size) : std::string();
  lua_pop(L, 1);
  return value;
}

void set_field(lua_State* L, const char* name, const std::string& value) {
  lua_pushlstring(L, value.data(), value.size());
  lua_setfield(L, -2, name);
}

void push_error_value(lua_State* L, const Fault& fault, const std::string& op, const std::string& where,
                      const std::string& trace) {
  lua_createtable(L, 0, 7);
  set_field(L, "kind", std::string(name_of(fault.kind)));
  set_field(L, "message", fault.message);
  set_field(L, "op", op);
  if (!fault.hint.empty()) set_field(L, "hint", fault.hint);
  if (!fault.type.empty()) set_field(L, "type", fault.type);
  set_field(L, "where", where);
  set_field(L, "trace", trace);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kErrorMetatable);
  lua_setmetatable(L, -2);
}

std::string text_of(lua_State* L, int index) {
  const std::string where = field(L, index, "where"), hint = field(L, index, "hint");
  std::string text = where.empty() ? "" : where + ": ";
  text += field(L, index, "message");
  if (!hint.empty()) text += " (" + hint + ")";
  return text;
}

int error_tostring(lua_State* L) {
  const std::string text = is_error(L, 1) ? text_of(L, 1) : "error";
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int error_concat(lua_State* L) {
  luaL_tolstring(L, 1, nullptr);
  luaL_tolstring(L, 2, nullptr);
  lua_concat(L, 2);
  return 1;
}

// Splits "train.lua:12: message" into where and message; a message without a position is left whole.
Fault split_position(const std::string& text, std::string& where) {
  for (size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', colon + 1)) {
    size_t end = colon + 1;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end > colon + 1 && text.compare(end, 2, ": ") == 0) {
      where = text.substr(0, end);
      return {ErrorKind::usage, text.substr(end + 2), {}};
    }
    if (text[colon + 1] == ' ') break;  // past where a position could stand
  }
  return {ErrorKind::usage, text, {}};
}

// What `require` says over a line for each file it tried, as one line without repeats; other texts as they are.
std::string fold_not_found(const std::string& text) {
  const size_t head = text.find(" not found:\n\t");
  if (head == std::string::npos || text.find("module '") == std::string::npos) return text;
  std::vector<std::string> files;
  bool native = false;
  constexpr std::string_view kFile = "no file '";
  for (size_t at = text.find(kFile, head); at != std::string::npos; at = text.find(kFile, at)) {
    at += kFile.size();
    const size_t end = text.find('\'', at);
    if (end == std::string::npos) return text;
    std::string file = text.substr(at, end - at);
    if (!file.ends_with(".lua")) native = true;
    else if (std::find(files.begin(), files.end(), file) == files.end()) files.push_back(std::move(file));
  }
  if (files.empty()) return text;
  std::string line = text.substr(0, head) + " not found, looked in ";
  for (size_t i = 0; i < files.size(); ++i) line += (i ? ", " : "") + files[i];
  return native ? line + " and package.cpath" : line;
}

// Adds the names of the functions that the table or userdata on the top has: its own, those of the tables that travel
// with it (a module's class), and what its metatable finds.
void collect_methods(lua_State* L, std::vector<std::string>& names, int depth) {
  if (depth == kDeepestClass || !lua_checkstack(L, 6)) return;
  const int object = lua_gettop(L);
  if (lua_istable(L, object)) {
    for (lua_pushnil(L); lua_next(L, object); lua_pop(L, 1))
      if (lua_type(L, -2) == LUA_TSTRING && lua_isfunction(L, -1)) names.emplace_back(lua_tostring(L, -2));
  } else {
    for (int i = 1; lua_getiuservalue(L, object, i) != LUA_TNONE; ++i) {
      if (lua_istable(L, -1)) collect_methods(L, names, depth + 1);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  if (!lua_getmetatable(L, object)) return;
  lua_pushliteral(L, "__index");
  if (lua_rawget(L, -2) == LUA_TTABLE) collect_methods(L, names, depth + 1);
  lua_pop(L, 2);
}

// For "attempt to call a nil value (method 'x')", raised in the function at level 1: what may have been meant. The
// object is one of the values on that function's stack, right above the nil that was called.
std::string method_hint(lua_State* L, const std::string& message, const std::string& where) {
  constexpr std::string_view kCall = "attempt to call a nil value (method '";
  if (!message.starts_with(kCall) || where != user_line(L)) return {};
  const std::string method = message.substr(kCall.size(), message.find('\'', kCall.size()) - kCall.size());
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_checkstack(L, 8)) return {};
  std::string best;
  bool after_nil = false;
  for (int n = 1; lua_getlocal(L, &ar, n); ++n) {
    if (after_nil && (lua_istable(L, -1) || lua_isuserdata(L, -1))) {
      std::vector<std::string> names;
      collect_methods(L, names, 0);
      std::sort(names.begin(), names.end());
      const std::vector<std::string> near = nearest(method, names, 1);
      if (!near.empty() && (best.empty() || edit_distance(method, near.front()) < edit_distance(method, best)))
        best = near.front();
    }
    after_nil = lua_isnil(L, -1);
    lua_pop(L, 1);
  }
  return best.empty() ? best : "did you mean '" + best + "'?";
}

// The hint that was added for a message, or none.
std::string added_hint(lua_State* L, const std::string& message) {
  std::string hint;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kHints) == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
      if (message.ends_with(lua_tostring(L, -2))) hint = lua_tostring(L, -1);
  lua_pop(L, 1);
  return hint;
}

}  // namespace

void add_hint(lua_State* L, const char* ending, const char* hint) {
  luaL_checkstack(L, 3, "hint");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kHints) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kHints);
  }
  lua_pushstring(L, hint);
  lua_setfield(L, -2, ending);
  lua_pop(L, 1);
}

void open_errors(lua_State* L) {
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, error_concat);
  lua_setfield(L, -2, "__concat");
  lua_pushliteral(L, "trainhost.Error");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "trainhost.Error");
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kErrorMetatable);
}

void push_error(lua_State* L, const Fault& fault, const char* op) {
  push_error_value(L, fault, op, user_line(L), traceback(L, 0));
}

void raise(lua_State* L, const Fault& fault, const char* op) {
  luaL_checkstack(L, 6, "error value");
  const int top = lua_gettop(L);
  try {
    push_error(L, fault, op);
  } catch (const std::bad_alloc&) {  // no C++ exception but Lua's own reaches Lua
    lua_settop(L, top);
  }
  if (lua_gettop(L) == top) lua_pushstring(L, kNoMemory);
  lua_error(L);
  std::abort();  // lua_error does not return
}

namespace {

// The value at 1 as an error value on top of the stack.
int make_error(lua_State* L) {
  if (!lua_isstring(L, 1)) {
    if (luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL) {
      push_error(L, {ErrorKind::usage, std::string("error value of type ") + luaL_typename(L, 1), {}});
      return 1;
    }
    lua_pop(L, 1);
    luaL_tolstring(L, 1, nullptr);
    lua_replace(L, 1);
  }
  std::string where;
  Fault fault = split_position(lua_tostring(L, 1), where);
  fault.message = fold_not_found(fault.message);
  fault.hint = method_hint(L, fault.message, where);
  if (fault.hint.empty()) fault.hint = added_hint(L, fault.message);
  if (where.empty() || where.rfind("stdlib/", 0) == 0) {
    if (!where.empty()) {
      fault.message = where + ": " + fault.message;
      fault.kind = ErrorKind::internal;
    }
    where = user_line(L);
  }
  push_error_value(L, fault, "", where, traceback(L, 1));
  return 1;
}

}  // namespace

int message_handler(lua_State* L) {
  if (is_error(L, 1)) return 1;
  try {
    return make_error(L);
  } catch (const std::bad_alloc&) {
    lua_settop(L, 0);
  }
  lua_pushstring(L, kNoMemory);
  return 1;
}

Error pop_error(lua_State* L) {
  const int top = lua_gettop(L);
  if (!is_error(L, top)) {
    // No message handler ran: out of memory, an error in the handler, a syntax error.
    std::string where;
    const char* text = lua_tostring(L, top);
    Fault fault = split_position(text ? text : "unknown error", where);
    if (fault.message == kNoMemory) fault.kind = ErrorKind::memory;
    lua_pop(L, 1);
    Error error(fault.kind, fault.message, fault.hint);
    error.set_context("", where, "");
    return error;
  }
  Error error(error_kind(field(L, top, "kind")), field(L, top, "message"), field(L, top, "hint"),
              field(L, top, "type"));
  error.set_context(field(L, top, "op"), field(L, top, "where"), field(L, top, "trace"));
  lua_pop(L, 1);
  return error;
}

}  // namespace trainhost::vm
