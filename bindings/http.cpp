// native.http: messages to a server that a thread of the host posts.
#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/owned.h"
#include "host/base/error.h"
#include "host/track/poster.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

const char kPoster = 0;  // its address is the registry key of the metatable

using Handle = std::shared_ptr<track::Poster>;

Handle& check_poster(lua_State* L) {
  if (lua_getmetatable(L, 1)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kPoster);
    const bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    auto* handle = same ? static_cast<Handle*>(lua_touserdata(L, 1)) : nullptr;
    if (handle && *handle) return *handle;
  }
  throw_argument(L, "native.http", "poster", "an open poster", 1);
}

int poster(lua_State* L) {
  const std::string name(check_string(L, 1, "poster", "name")), url(check_string(L, 2, "poster", "url"));
  track::Headers headers;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, 3)); i <= n; ++i) {
    lua_rawgeti(L, 3, i);
    const int pair = lua_gettop(L);
    lua_rawgeti(L, pair, 1);
    lua_rawgeti(L, pair, 2);
    headers.emplace_back(check_string(L, pair + 1, "poster", "header"), check_string(L, pair + 2, "poster", "header"));
    lua_settop(L, 3);
  }
  auto* handle = new (lua_newuserdatauv(L, sizeof(Handle), 0)) Handle();
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kPoster);
  lua_setmetatable(L, -2);
  *handle = std::make_shared<track::Poster>(name, url, std::move(headers));
  return 1;
}

int post(lua_State* L) {
  check_poster(L)->post(std::string(check_string(L, 2, "post", "body")));
  return 0;
}

int flush(lua_State* L) {
  using Clock = std::chrono::steady_clock;
  auto& poster = check_poster(L);
  const auto deadline = Clock::now() + std::chrono::duration<double>(check_number(L, 2, "flush", "seconds"));
  auto& interrupts = vm::State::of(L).interrupts();
  size_t left;
  do left = poster->flush(std::chrono::milliseconds(20));
  while (left > 0 && Clock::now() < deadline && !interrupts.requested());
  lua_pushinteger(L, static_cast<lua_Integer>(left));
  return 1;
}

constexpr Row kRows[] = {
    {"poster", guarded<poster>,
     "Makes what posts messages to a URL; an io error without libcurl.\n@param name string how its warnings begin\n"
     "@param url string\n@param headers string[][] {name, value}\n@return userdata poster"},
    {"post", guarded<post>,
     "Hands a message over and returns at once; what becomes of it is a warning.\n@param poster userdata\n"
     "@param body string"},
    {"flush", guarded<flush>,
     "Waits until all has been posted.\n@param poster userdata\n@param seconds number at most\n@return integer "
     "waiting"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_http(lua_State* L) {
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, collect_owned<Handle>, 1);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "Poster");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kPoster);
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
