// native.log: messages for people on stderr, at a level.
#include "host/base/log.h"

#include "bindings/guard.h"

namespace trainhost::bindings {
namespace {

// Joined as print joins, with spaces.
std::string joined(lua_State* L) {
  std::string text;
  const int count = lua_gettop(L);
  for (int i = 1; i <= count; ++i) {
    size_t size = 0;
    const char* part = luaL_tolstring(L, i, &size);
    if (i > 1) text += ' ';
    text.append(part, size);
    lua_pop(L, 1);
  }
  return text;
}

template <void (*write)(std::string_view)>
int write_line(lua_State* L) {
  write(joined(L));
  return 0;
}

constexpr const char* kLevels[] = {"debug", "info", "warn", "error", "off", nullptr};

int set_level(lua_State* L) {
  const char* wanted = lua_tostring(L, 1);
  for (int i = 0; wanted && kLevels[i]; ++i)
    if (std::string_view(kLevels[i]) == wanted) {
      log::set_level(static_cast<log::Level>(i));
      return 0;
    }
  throw_argument(L, "set_level", "level", "one of debug, info, warn, error, off", 1);
}

int get_level(lua_State* L) {
  lua_pushstring(L, kLevels[static_cast<int>(log::level())]);
  return 1;
}

int is_quiet(lua_State* L) {
  lua_pushboolean(L, log::level() > log::Level::info);
  return 1;
}

constexpr Row kRows[] = {
    {"debug", guarded<write_line<log::debug>>, "Writes a line for debugging to stderr.\n@param ... any"},
    {"info", guarded<write_line<log::info>>, "Writes a line to stderr.\n@param ... any"},
    {"warn", guarded<write_line<log::warn>>, "Writes a warning to stderr.\n@param ... any"},
    {"error", guarded<write_line<log::error>>, "Writes an error to stderr; it is not raised.\n@param ... any"},
    {"set_level", guarded<set_level>,
     "Sets the least level that is shown.\n@param level string debug, info, warn, error or off"},
    {"level", guarded<get_level>, "Returns the least level that is shown.\n@return string"},
    {"is_quiet", guarded<is_quiet>,
     "Tells whether progress is unwelcome: under --quiet, and in a program that did not ask for messages.\n"
     "@return boolean"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_log(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
