// native.file: files and folders; failures are `io` errors with the path and the reason.
#include "host/base/file.h"

#include "bindings/guard.h"

namespace trainhost::bindings {
namespace {

std::string path_at(lua_State* L, int arg, const char* function, const char* name = "path") {
  if (lua_type(L, arg) != LUA_TSTRING) throw_argument(L, function, name, "a string", arg);
  size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  std::string path(text, size);
  if (path.empty() || path.find('\0') != std::string::npos)
    throw_usage(std::string(function) + ": '" + name + "' is not a path: it is empty or has a zero byte in it");
  return path;
}

std::string_view text_at(lua_State* L, int arg, const char* function) {
  if (!lua_isstring(L, arg)) throw_argument(L, function, "text", "a string", arg);
  size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

int push(lua_State* L, const std::string& text) {
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int read(lua_State* L) { return push(L, file::read(path_at(L, 1, "file.read"))); }

int write_atomic(lua_State* L) {
  file::write_atomic(path_at(L, 1, "file.write_atomic"), text_at(L, 2, "file.write_atomic"));
  return 0;
}

int append(lua_State* L) {
  file::append(path_at(L, 1, "file.append"), text_at(L, 2, "file.append"));
  return 0;
}

int mkdir(lua_State* L) {
  file::mkdir(path_at(L, 1, "file.mkdir"));
  return 0;
}

int list(lua_State* L) {
  const std::vector<std::string> names = file::list(path_at(L, 1, "file.list"));
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (size_t i = 0; i < names.size(); ++i) {
    push(L, names[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int exists(lua_State* L) {
  lua_pushboolean(L, file::exists(path_at(L, 1, "file.exists")));
  return 1;
}

int is_folder(lua_State* L) {
  lua_pushboolean(L, file::is_folder(path_at(L, 1, "file.is_folder")));
  return 1;
}

int is_writable(lua_State* L) {
  lua_pushboolean(L, file::is_writable(path_at(L, 1, "file.is_writable")));
  return 1;
}

int remove(lua_State* L) {
  lua_pushboolean(L, file::remove(path_at(L, 1, "file.remove")));
  return 1;
}

int rename(lua_State* L) {
  file::rename(path_at(L, 1, "file.rename", "from"), path_at(L, 2, "file.rename", "to"));
  return 0;
}

int copy(lua_State* L) {
  file::copy(path_at(L, 1, "file.copy", "from"), path_at(L, 2, "file.copy", "to"));
  return 0;
}

int size(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(file::size(path_at(L, 1, "file.size"))));
  return 1;
}

int modified(lua_State* L) {
  lua_pushnumber(L, file::modified(path_at(L, 1, "file.modified")));
  return 1;
}

int stamp(lua_State* L) {
  const auto stamp = file::stamp(path_at(L, 1, "file.stamp"));
  if (!stamp) return 0;
  push(L, stamp->text);
  lua_pushnumber(L, stamp->changed);
  return 2;
}

int is_being_written(lua_State* L) {
  lua_pushboolean(L, file::is_being_written(path_at(L, 1, "file.is_being_written")));
  return 1;
}

int cwd(lua_State* L) { return push(L, file::cwd()); }
int absolute(lua_State* L) { return push(L, file::absolute(path_at(L, 1, "file.absolute"))); }
int folder_of(lua_State* L) { return push(L, file::folder_of(path_at(L, 1, "file.folder_of"))); }

constexpr Row kRows[] = {
    {"read", guarded<read>, "Returns the whole file.\n@param path string\n@return string"},
    {"write_atomic", guarded<write_atomic>,
     "Replaces a file as one step: readers and crashes see the old text or the new.\n@param path string\n"
     "@param text string"},
    {"append", guarded<append>, "Adds text at the end of a file.\n@param path string\n@param text string"},
    {"mkdir", guarded<mkdir>, "Makes a folder and those above it; fine if it exists.\n@param path string"},
    {"list", guarded<list>, "Returns the names in a folder, sorted.\n@param path string\n@return string[]"},
    {"exists", guarded<exists>, "Tells whether there is a file or folder.\n@param path string\n@return boolean"},
    {"is_folder", guarded<is_folder>, "Tells whether it is a folder.\n@param path string\n@return boolean"},
    {"is_writable", guarded<is_writable>,
     "Tells whether a file may be written, or made with the folders above it, at a path; touches nothing.\n"
     "@param path string\n@return boolean"},
    {"remove", guarded<remove>,
     "Removes a file, or a folder with all in it.\n@param path string\n@return boolean false if it was not there"},
    {"rename", guarded<rename>,
     "Renames a file or folder, over a file that exists.\n@param from string\n@param to string"},
    {"copy", guarded<copy>, "Copies a file.\n@param from string\n@param to string"},
    {"size", guarded<size>, "Returns the bytes of a file.\n@param path string\n@return integer"},
    {"modified", guarded<modified>,
     "Returns when it last changed, seconds since 1970.\n@param path string\n@return number"},
    {"stamp", guarded<stamp>,
     "Returns a text that differs once the file has been written or replaced, and when that was, seconds since 1970;\n"
     "nothing if there is no such file.\n@param path string\n@return string|nil\n@return number|nil"},
    {"is_being_written", guarded<is_being_written>,
     "Tells whether a program has a file open for writing; false where the file system cannot tell.\n"
     "@param path string\n@return boolean"},
    {"cwd", guarded<cwd>, "Returns the working folder.\n@return string"},
    {"absolute", guarded<absolute>, "Returns the absolute path, without . and ..\n@param path string\n@return string"},
    {"folder_of", guarded<folder_of>, "Returns the folder part of a path.\n@param path string\n@return string"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_file(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
