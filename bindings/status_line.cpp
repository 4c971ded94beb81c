// native.status_line: the line of a terminal that is drawn over itself, which print, io.write and messages do not run
// into.
#include "host/base/status_line.h"

#include "bindings/guard.h"

namespace trainhost::bindings {
namespace {

int write(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) throw_argument(L, "write", "text", "a string", 1);
  size_t size = 0;
  const char* text = lua_tolstring(L, 1, &size);
  status_line::write({text, size});
  return 0;
}

int finish(lua_State*) {
  status_line::finish();
  return 0;
}

constexpr Row kRows[] = {
    {"write", guarded<write>,
     "Writes to stdout at once. A text without a newline at its end is the status line, which goes as soon as print,\n"
     "io.write or a message writes something; a line that these have begun is ended before.\n@param text string"},
    {"finish", guarded<finish>, "Lets the status line stand, if there is one, with the cursor below it."},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_status_line(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
