// A program with a Lua of its own, the plain C build, beside the one inside trainhost; says "ok" if neither disturbs
// the other.
#include <trainhost/trainhost.h>

#include <cstdio>
#include <cstring>

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

int main() {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  trainhost::Host host;
  host.add_function("ask", [&](std::span<const trainhost::Value> in) {
    // The program's Lua runs while trainhost's does; its errors (longjmp) stay in it.
    lua_pushstring(L, in[0].as_string().c_str());
    lua_setglobal(L, "question");
    const bool failed = luaL_dostring(L, "return pcall(error, question .. '?')") != LUA_OK;
    const std::string answer = failed ? "failed" : lua_tostring(L, -1);
    lua_settop(L, 0);
    return std::vector<trainhost::Value>{answer};
  });
  const auto out =
      host.run_string("question = 'inner' local ok, e = pcall(error, 'own') return ask('outer'), question, e");
  lua_getglobal(L, "question");
  const bool apart = std::strcmp(lua_tostring(L, -1), "outer") == 0 && out[1].as_string() == "inner";
  const bool right = out[0].as_string() == "outer?" && out[2].as_string() == "own";
  try {
    host.run_string("ask(error)");
  } catch (const trainhost::Error& e) {
    if (apart && right && std::strstr(e.what(), "got function")) std::puts("ok");
  }
  lua_close(L);
}
