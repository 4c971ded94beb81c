// The state of Lua's math.random, which Lua itself has no function to read.
//
// Note [The state of math.random]
// math.random of Lua 5.4 is a C function whose only upvalue is a userdata with the four 64-bit words of xoshiro256**:
// they are read and written there. `math.random` is taken when the state is opened, so that a script which replaces it
// changes nothing.
#include <cstring>

#include "bindings/bindings.h"
#include "bindings/guard.h"
#include "host/base/error.h"

namespace trainhost::bindings {
namespace {

constexpr size_t kStateBytes = 32;

constexpr char kRandom = 0;  // its address is the key of math.random in the registry

void* state_of(lua_State* L) {
  void* state = nullptr;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kRandom) == LUA_TFUNCTION && lua_getupvalue(L, -1, 1)) {
    if (lua_type(L, -1) == LUA_TUSERDATA && lua_rawlen(L, -1) == kStateBytes) state = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (!state) throw Error(ErrorKind::internal, "this Lua keeps the state of math.random where it is not known");
  return state;
}

int random_state(lua_State* L) {
  lua_pushlstring(L, static_cast<const char*>(state_of(L)), kStateBytes);
  return 1;
}

int set_random_state(lua_State* L) {
  size_t size = 0;
  const char* bytes = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : nullptr;
  if (!bytes || size != kStateBytes) throw_usage("set_random_state: expected the 32 bytes of random_state");
  std::memcpy(state_of(L), bytes, kStateBytes);
  return 0;
}

}  // namespace

void set_math_random(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"random_state", guarded<random_state>, "The state of math.random.\n@return string state 32 bytes"},
      {"set_random_state", guarded<set_random_state>,
       "math.random goes on as it did after that random_state.\n@param state string"},
      {nullptr, nullptr, nullptr}};
  if (lua_getglobal(L, "math") == LUA_TTABLE) lua_getfield(L, -1, "random");
  else lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kRandom);
  lua_pop(L, 1);
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
