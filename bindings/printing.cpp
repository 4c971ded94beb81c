// The print options of a state, kept in Lua's registry, and their two functions.
#include "bindings/printing.h"

#include <array>
#include <cmath>
#include <string_view>

#include "bindings/guard.h"
#include "host/tensor/print.h"

namespace trainhost::bindings {
namespace {

using tensor::PrintOptions;

constexpr char kOptions = 0;  // its address stands for the entry of Lua's registry
constexpr std::array<const char*, 6> kNames = {"precision", "threshold", "edgeitems",
                                               "linewidth", "profile",   "sci_mode"};

// This state's options; made with the defaults at the first use. They live as long as the state.
PrintOptions& options(lua_State* L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kOptions) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    new (lua_newuserdatauv(L, sizeof(PrintOptions), 0)) PrintOptions();
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kOptions);
  }
  auto* result = static_cast<PrintOptions*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *result;
}

int natural(lua_State* L, int index, const char* name) {
  int exact = 0;
  const lua_Integer value = lua_tointegerx(L, index, &exact);
  if (lua_type(L, index) != LUA_TNUMBER || !exact || value < 0 || value > 1000000)
    throw_argument(L, "torch.set_printoptions", name, "an integer from 0 to 1000000", index);
  return static_cast<int>(value);
}

void set_profile(lua_State* L, int index, PrintOptions& into) {
  const std::string_view profile = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  if (profile != "default" && profile != "short" && profile != "full")
    throw_argument(L, "torch.set_printoptions", "profile", "\"default\", \"short\" or \"full\"", index);
  const auto sci_mode = into.sci_mode;
  into = PrintOptions();
  into.sci_mode = sci_mode;
  if (profile == "short") into.precision = into.edgeitems = 2;
  if (profile == "full") into.threshold = INFINITY;
}

void check_names(lua_State* L) {
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const std::string_view key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    bool known = false;
    for (const char* name : kNames) known |= key == name;
    if (!known)
      throw_usage("torch.set_printoptions: unknown keyword " + describe(L, -2) +
                  ", expected precision, threshold, edgeitems, linewidth, profile or sci_mode");
  }
}

}  // namespace

std::string tensor_text(lua_State* L, const at::Tensor& tensor, bool parameter) {
  return tensor::to_string(tensor, parameter, options(L));
}

int set_printoptions(lua_State* L) {
  if (lua_istable(L, 1)) {
    check_names(L);
    for (size_t i = 0; i < kNames.size(); ++i) lua_getfield(L, 1, kNames[i]);
    lua_remove(L, 1);
  }
  lua_settop(L, static_cast<int>(kNames.size()));
  PrintOptions next = options(L);
  if (!lua_isnil(L, 5)) set_profile(L, 5, next);
  if (!lua_isnil(L, 1)) next.precision = natural(L, 1, kNames[0]);
  if (!lua_isnil(L, 2)) {
    if (lua_type(L, 2) != LUA_TNUMBER) throw_argument(L, "torch.set_printoptions", "threshold", "a number", 2);
    next.threshold = lua_tonumber(L, 2);
  }
  if (!lua_isnil(L, 3)) next.edgeitems = natural(L, 3, kNames[2]);
  if (!lua_isnil(L, 4)) next.linewidth = natural(L, 4, kNames[3]);
  if (!lua_isnil(L, 6) && !lua_isboolean(L, 6))
    throw_argument(L, "torch.set_printoptions", "sci_mode", "a boolean or nil", 6);
  next.sci_mode.reset();  // as PyTorch: not given means chosen by the values again
  if (lua_isboolean(L, 6)) next.sci_mode = static_cast<bool>(lua_toboolean(L, 6));
  options(L) = next;
  return 0;
}

int get_printoptions(lua_State* L) {
  const PrintOptions current = options(L);
  lua_newtable(L);
  lua_pushinteger(L, current.precision);
  lua_setfield(L, -2, "precision");
  lua_pushnumber(L, current.threshold);
  lua_setfield(L, -2, "threshold");
  lua_pushinteger(L, current.edgeitems);
  lua_setfield(L, -2, "edgeitems");
  lua_pushinteger(L, current.linewidth);
  lua_setfield(L, -2, "linewidth");
  if (current.sci_mode) {
    lua_pushboolean(L, *current.sci_mode);
    lua_setfield(L, -2, "sci_mode");
  }
  return 1;
}

}  // namespace trainhost::bindings
