// print, io.write and file:write, which first take the status line away.
//
// Lua's own functions are called as they are, in the same frame: their errors keep their names.
#include "host/vm/streams.h"

#include <atomic>
#include <cstdio>
#include <lua.hpp>

#include "host/base/status_line.h"

namespace trainhost::vm {
namespace {

// The same in every state.
std::atomic<lua_CFunction> lua_print, lua_io_write, lua_file_write;

// Is the last of what is written the end of a line?
bool ends_line(lua_State* L) {
  if (lua_type(L, -1) != LUA_TSTRING) return false;
  size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  return size > 0 && text[size - 1] == '\n';
}

int print(lua_State* L) {
  status_line::give_way();
  const int results = lua_print.load()(L);
  status_line::others_wrote(true);
  return results;
}

// Before `write` writes to this file.
void give_way_to(lua_State* L, const void* file, int first) {
  const auto* stream = static_cast<const luaL_Stream*>(file);
  if (!stream || (stream->f != stdout && stream->f != stderr)) return;
  status_line::give_way();
  if (stream->f == stdout && lua_gettop(L) >= first) status_line::others_wrote(ends_line(L));
}

int io_write(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");  // Lua's name of the default output
  const void* file = luaL_testudata(L, -1, LUA_FILEHANDLE);
  lua_pop(L, 1);
  give_way_to(L, file, 1);
  return lua_io_write.load()(L);
}

int file_write(lua_State* L) {
  give_way_to(L, luaL_testudata(L, 1, LUA_FILEHANDLE), 2);
  return lua_file_write.load()(L);
}

// Replaces the field `name` of the table on top.
void replace(lua_State* L, const char* name, lua_CFunction f, std::atomic<lua_CFunction>& original) {
  lua_getfield(L, -1, name);
  original = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, name);
}

}  // namespace

void open_streams(lua_State* L) {
  lua_pushglobaltable(L);
  replace(L, "print", print, lua_print);
  lua_pop(L, 1);
  lua_getglobal(L, "io");
  replace(L, "write", io_write, lua_io_write);
  lua_pop(L, 1);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  replace(L, "write", file_write, lua_file_write);
  lua_pop(L, 2);
}

}  // namespace trainhost::vm
