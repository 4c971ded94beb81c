// Autocast: which device's operators choose their dtype, and the cache of cast weights. State of the thread.
#include <ATen/autocast_mode.h>

#include "bindings/dtype.h"
#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

at::DeviceType check_type(lua_State* L, int index, const char* function) {
  return at::Device(std::string(check_string(L, index, function, "device_type"))).type();
}

int is_available(lua_State* L) {
  spread_keywords(L, "torch.amp.is_autocast_available", 1, {"device_type"});
  const at::DeviceType type = check_type(L, 1, "torch.amp.is_autocast_available");
  return lua_pushboolean(L, at::autocast::is_autocast_available(type)), 1;
}

int is_enabled(lua_State* L) {
  return lua_pushboolean(L, at::autocast::is_autocast_enabled(check_type(L, 1, "torch.is_autocast_enabled"))), 1;
}

int set_enabled(lua_State* L) {
  constexpr const char* kName = "torch.set_autocast_enabled";
  const at::DeviceType type = check_type(L, 1, kName);
  at::autocast::set_autocast_enabled(type, check_boolean(L, 2, kName, "enabled"));
  return 0;
}

int get_dtype(lua_State* L) {
  push_dtype(L, at::autocast::get_autocast_dtype(check_type(L, 1, "torch.get_autocast_dtype")));
  return 1;
}

int set_dtype(lua_State* L) {
  const at::DeviceType type = check_type(L, 1, "torch.set_autocast_dtype");
  at::autocast::set_autocast_dtype(type, check_dtype(L, 2));
  return 0;
}

int clear_cache(lua_State* L) { return at::autocast::clear_cache(), 0; }
int increment_nesting(lua_State* L) { return lua_pushinteger(L, at::autocast::increment_nesting()), 1; }
int decrement_nesting(lua_State* L) { return lua_pushinteger(L, at::autocast::decrement_nesting()), 1; }
int is_cache_enabled(lua_State* L) { return lua_pushboolean(L, at::autocast::is_autocast_cache_enabled()), 1; }
int set_cache_enabled(lua_State* L) {
  at::autocast::set_autocast_cache_enabled(check_boolean(L, 1, "torch.set_autocast_cache_enabled", "enabled"));
  return 0;
}

}  // namespace

int open_autocast(lua_State* L) {
  static constexpr Row kRows[] = {
      {"is_available", guarded<is_available>, "Has this type of device autocast?\n@param device_type string"},
      {"is_enabled", guarded<is_enabled>, "@param device_type string\n@return boolean"},
      {"set_enabled", guarded<set_enabled>, "@param device_type string\n@param enabled boolean"},
      {"get_dtype", guarded<get_dtype>, "@param device_type string\n@return dtype"},
      {"set_dtype", guarded<set_dtype>, "@param device_type string\n@param dtype dtype"},
      {"clear_cache", guarded<clear_cache>, "Lets go of the weights that were cast."},
      {"increment_nesting", guarded<increment_nesting>, "@return integer"},
      {"decrement_nesting", guarded<decrement_nesting>, "@return integer"},
      {"is_cache_enabled", guarded<is_cache_enabled>, "@return boolean"},
      {"set_cache_enabled", guarded<set_cache_enabled>, "@param enabled boolean"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
