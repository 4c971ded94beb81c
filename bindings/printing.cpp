// The print options of a state, kept in Lua's registry, and their two functions.
#include "bindings/printing.h"

#include <cmath>
#include <string_view>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "host/autograd/wrapped.h"
#include "host/tensor/print.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::bindings {
namespace {

using tensor::PrintOptions;

constexpr char kOptions = 0;  // its address stands for the entry of Lua's registry

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

}  // namespace

std::string tensor_text(lua_State* L, const at::Tensor& tensor, bool parameter) {
  if (tensor::is_uninitialized(tensor)) return parameter ? "<UninitializedParameter>" : "<UninitializedBuffer>";
  return autograd::text_of(tensor,
                           [&](const at::Tensor& each) { return tensor::to_string(each, parameter, options(L)); });
}

int set_printoptions(lua_State* L) {
  constexpr const char* kName = "torch.set_printoptions";
  const Keywords keywords(L, kName, 1, {"precision", "threshold", "edgeitems", "linewidth", "profile", "sci_mode"});
  PrintOptions next = options(L);
  if (const int i = keywords.find("profile")) set_profile(L, i, next);
  if (const int i = keywords.find("precision")) next.precision = natural(L, i, "precision");
  if (const int i = keywords.find("threshold")) next.threshold = check_number(L, i, kName, "threshold");
  if (const int i = keywords.find("edgeitems")) next.edgeitems = natural(L, i, "edgeitems");
  if (const int i = keywords.find("linewidth")) next.linewidth = natural(L, i, "linewidth");
  next.sci_mode.reset();  // as PyTorch: not given means chosen by the values again
  if (const int i = keywords.find("sci_mode")) next.sci_mode = check_boolean(L, i, kName, "sci_mode");
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
