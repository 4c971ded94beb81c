// print, io.write and file:write, which first take the status line away.
//
// Lua's own functions are called as they are, in the same frame: their errors keep their names.
#include "host/vm/streams.h"

#include <cstdio>
#include <lua.hpp>
#include <optional>

#include "host/base/status_line.h"

namespace trainhost::vm {
namespace {

// Lua's function, which ours has as its upvalue.
int call_original(lua_State* L) { return lua_tocfunction(L, lua_upvalueindex(1))(L); }

// Do the arguments from `first` on end a line? Nothing if there is no text in them.
std::optional<bool> end_line(lua_State* L, int first) {
  for (int i = lua_gettop(L); i >= first; --i) {
    if (lua_type(L, i) != LUA_TSTRING) return false;
    size_t size;
    const char* text = lua_tolstring(L, i, &size);
    if (size > 0) return text[size - 1] == '\n';
  }
  return std::nullopt;
}

int print(lua_State* L) {
  status_line::give_way();
  const int results = call_original(L);
  status_line::others_wrote(true);
  return results;
}

// Before the arguments from `first` on are written to this file.
void give_way_to(lua_State* L, const void* file, int first) {
  const auto* stream = static_cast<const luaL_Stream*>(file);
  if (!stream || (stream->f != stdout && stream->f != stderr)) return;
  const auto ended = end_line(L, first);
  if (!ended) return;
  status_line::give_way();
  if (stream->f == stdout) status_line::others_wrote(*ended);
}

int io_write(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");  // Lua's name of the default output
  const void* file = luaL_testudata(L, -1, LUA_FILEHANDLE);
  lua_pop(L, 1);
  give_way_to(L, file, 1);
  return call_original(L);
}

int file_write(lua_State* L) {
  give_way_to(L, luaL_testudata(L, 1, LUA_FILEHANDLE), 2);
  return call_original(L);
}

// Replaces Lua's own field `name` of the table on top; once.
void replace(lua_State* L, const char* name, lua_CFunction f) {
  lua_getfield(L, -1, name);
  const lua_CFunction there = lua_tocfunction(L, -1);
  if (!there || there == f) return lua_pop(L, 1);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

}  // namespace

void open_streams(lua_State* L) {
  lua_pushglobaltable(L);
  replace(L, "print", print);
  lua_pop(L, 1);
  lua_getglobal(L, "io");
  replace(L, "write", io_write);
  lua_pop(L, 1);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  replace(L, "write", file_write);
  lua_pop(L, 2);
}

}  // namespace trainhost::vm
