// The searcher of the standard library, `require` for native modules, package.path.
#include "host/vm/modules.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <lua.hpp>
#include <string_view>

#include "host/vm/errors.h"
#include "host/vm/state.h"
#include "host/vm/stdlib.h"
#include "host/vm/traceback.h"

namespace trainhost::vm {
namespace {

const char kNatives = 0;  // its address is the registry key of {[name] = opener, or the module once it is open}

std::string read_stdlib(const State& state, const StdlibFile& file) {
  const std::string& dir = state.options().stdlib_dir;
  if (dir.empty()) return std::string(file.text);
  std::ifstream in(dir + "/" + std::string(file.file), std::ios::binary);
  if (!in) throw_io("cannot read " + dir + "/" + std::string(file.file));
  return {std::istreambuf_iterator<char>(in), {}};
}

// The first of package.searchers: nothing in the working folder replaces a module of the standard library.
int search_stdlib(lua_State* L) {
  const std::string_view name = luaL_checkstring(L, 1);
  for (size_t i = 0; i < stdlib_size(); ++i) {
    const StdlibFile file = stdlib_file(i);
    if (file.name != name) continue;
    const std::string chunk = "=stdlib/" + std::string(file.file);
    int status;
    if (State::of(L).options().stdlib_dir.empty()) {
      status = luaL_loadbufferx(L, file.text.data(), file.text.size(), chunk.c_str(), "t");
    } else {
      std::string text;
      try {
        text = read_stdlib(State::of(L), file);
      } catch (const Error& e) {
        lua_pushstring(L, e.what());
        return 1;
      }
      status = luaL_loadbufferx(L, text.data(), text.size(), chunk.c_str(), "t");
    }
    if (status != LUA_OK) return lua_error(L);
    lua_pushlstring(L, chunk.data() + 1, chunk.size() - 1);
    return 2;
  }
  return 0;
}

void add_searcher(lua_State* L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 1; --i) {
    lua_geti(L, -1, i);
    lua_seti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_stdlib);
  lua_seti(L, -2, 1);
  lua_pop(L, 2);
}

// Scripts go through the standard library, whose functions check their arguments. Does it ask, or C++ by itself?
bool asked_by_stdlib(lua_State* L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); ++level) {
    lua_getinfo(L, "S", &ar);
    if (*ar.what != 'C') return is_stdlib(ar);
  }
  return true;
}

// Lua's own `require` is the upvalue. Native modules are in no table of `package`.
int require(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  if (std::strncmp(name, "native.", 7) == 0) {
    if (!asked_by_stdlib(L))
      raise(L, {ErrorKind::usage, "require: '" + std::string(name) + "' is for the standard library alone",
                "scripts use torch, train, mlflow, host and test"});
    push_native(L, name);
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L);
}

}  // namespace

void open_modules(lua_State* L) {
  add_searcher(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kNatives);
  lua_getglobal(L, "require");
  lua_pushcclosure(L, require, 1);
  lua_setglobal(L, "require");
}

void add_native(lua_State* L, const char* name, NativeOpener open) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNatives);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void push_native(lua_State* L, const char* name) {
  luaL_checkstack(L, 4, name);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNatives);
  const int type = lua_getfield(L, -1, name);
  if (type == LUA_TNIL) luaL_error(L, "there is no native module '%s'", name);
  if (type == LUA_TFUNCTION) {
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
  }
  lua_remove(L, -2);
}

std::vector<std::string> native_names(lua_State* L) {
  std::vector<std::string> names;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNatives);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) names.push_back(lua_tostring(L, -2));
  lua_pop(L, 1);
  std::sort(names.begin(), names.end());
  return names;
}

std::string stdlib_text(lua_State* L, std::string_view file) {
  for (size_t i = 0; i < stdlib_size(); ++i)
    if (stdlib_file(i).file == file) return read_stdlib(State::of(L), stdlib_file(i));
  throw_usage("the standard library has no file '" + std::string(file) + "'");
}

void search_beside(lua_State* L, const std::string& script) {
  const size_t slash = script.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : script.substr(0, slash);
  const std::string own = folder + "/?.lua;" + folder + "/?/init.lua";
  if (lua_getglobal(L, "package") != LUA_TTABLE) return lua_pop(L, 1);
  lua_getfield(L, -1, "path");
  const char* before = lua_tostring(L, -1);
  std::string rest = before ? ";" + std::string(before) + ";" : ";";
  if (const size_t at = rest.find(";" + own + ";"); at != std::string::npos) rest.erase(at, own.size() + 1);
  const std::string path = rest.size() > 1 ? own + rest.substr(0, rest.size() - 1) : own;
  lua_pushlstring(L, path.data(), path.size());
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
}

}  // namespace trainhost::vm
