// os.exit, which is an interruption, os.execute, which one passes (see Note [How a script is stopped]), and os.tmpname.
#include "host/vm/process.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <lua.hpp>
#include <string>

#include "host/vm/interrupt.h"
#include "host/vm/state.h"

namespace trainhost::vm {
namespace {

Interrupts& interrupts(lua_State* L) { return State::of(L).interrupts(); }

// os.exit([code]): ends the script, not the process: `<close>` variables are closed, and the host has the code.
int exit_script(lua_State* L) {
  int code = 0;
  if (lua_isboolean(L, 1)) code = lua_toboolean(L, 1) ? 0 : 1;
  else code = static_cast<int>(luaL_optinteger(L, 1, 0));
  interrupts(L).exit(L, code);
}

// os.execute(command): system(3) without its ignoring of SIGINT while the command runs, by which a loop of commands
// could not be stopped. A command that SIGINT ended ends the script, too.
int execute(lua_State* L) {
  const char* command = luaL_optstring(L, 1, nullptr);
  if (!command) return lua_pushboolean(L, true), 1;
  const char* const words[] = {"sh", "-c", command, nullptr};
  pid_t child = 0;
  if (errno = posix_spawn(&child, "/bin/sh", nullptr, nullptr, const_cast<char**>(words), environ); errno != 0)
    return luaL_fileresult(L, 0, command);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return luaL_fileresult(L, 0, command);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) interrupts(L).interrupt(L, "interrupted");
  return luaL_execresult(L, status);
}

// os.tmpname(): a file of its own in $TMPDIR, where that is set; Lua's is always in /tmp.
int temporary_name(lua_State* L) {
  const char* given = std::getenv("TMPDIR");
  std::string path = std::string(given && *given ? given : "/tmp") + "/lua_XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return luaL_error(L, "unable to generate a unique filename");
  close(file);
  lua_pushlstring(L, path.data(), path.size());
  return 1;
}

}  // namespace

void open_process(lua_State* L) {
  lua_getglobal(L, "os");
  lua_pushcfunction(L, exit_script);
  lua_setfield(L, -2, "exit");
  lua_pushcfunction(L, execute);
  lua_setfield(L, -2, "execute");
  lua_pushcfunction(L, temporary_name);
  lua_setfield(L, -2, "tmpname");
  lua_pop(L, 1);
}

}  // namespace trainhost::vm
