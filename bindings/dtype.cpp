// Dtype, layout, memory format and device userdata: one value each, made once per state but for devices.
#include "bindings/dtype.h"

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/settings.h"
#include "host/tensor/cuda.h"
#include "host/tensor/names.h"

namespace trainhost::bindings {
namespace {

const char kDtypes = 0;  // its address is the registry key

template <class T>
int enum_tostring(lua_State* L) {
  const std::string text = "torch." + std::string(tensor::name_of(check<T>(L, 1).value));
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

template <class T>
int plain_equal(lua_State* L) {
  const auto *a = test<T>(L, 1), *b = test<T>(L, 2);
  lua_pushboolean(L, a && b && a->value == b->value);
  return 1;
}

int dtype_to_real(lua_State* L) {
  const at::ScalarType type = check<at::ScalarType>(L, 1).value;
  return push_dtype(L, at::isComplexType(type) ? c10::toRealValueType(type) : type), 1;
}

int dtype_to_complex(lua_State* L) { return push_dtype(L, at::toComplexType(check<at::ScalarType>(L, 1).value)), 1; }

int dtype_index(lua_State* L) {
  const at::ScalarType type = check<at::ScalarType>(L, 1).value;
  const std::string_view key = luaL_checkstring(L, 2);
  if (key == "itemsize") lua_pushinteger(L, static_cast<lua_Integer>(c10::elementSize(type)));
  else if (key == "is_floating_point") lua_pushboolean(L, at::isFloatingType(type));
  else if (key == "is_complex") lua_pushboolean(L, at::isComplexType(type));
  else if (key == "is_signed") lua_pushboolean(L, at::isSignedType(type));
  else if (key == "to_real") lua_pushcfunction(L, guarded<dtype_to_real>);
  else if (key == "to_complex") lua_pushcfunction(L, guarded<dtype_to_complex>);
  else
    throw_usage("a dtype has no field '" + std::string(key) + "'",
                "it has itemsize, is_floating_point, is_complex, is_signed, to_real() and to_complex()");
  return 1;
}

int device_index(lua_State* L) {
  const at::Device device = check<at::Device>(L, 1).value;
  const std::string_view key = luaL_checkstring(L, 2);
  if (key == "type") lua_pushstring(L, c10::DeviceTypeName(device.type(), /*lower_case=*/true).c_str());
  else if (key == "index") device.has_index() ? lua_pushinteger(L, device.index()) : lua_pushnil(L);
  else throw_usage("a device has no field '" + std::string(key) + "'", "it has type and index");
  return 1;
}

int device_tostring(lua_State* L) {
  lua_pushstring(L, check<at::Device>(L, 1).value.str().c_str());
  return 1;
}

// device(fn, ...)
int call_on_device(lua_State* L) {
  if (!is_callable(L, 2)) throw_argument(L, "torch.device", "fn", "a function to run with it as the default device", 2);
  struct Guard : DefaultDevice {
    using DefaultDevice::DefaultDevice;
    ~Guard() { leave(); }
  };
  const Guard guard(L);
  settings(L).default_device = check_device(L, 1);
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

// torch.device("cuda", 0), torch.device("cuda:0"), torch.device(0)
int make_device(lua_State* L) {
  spread_keywords(L, "torch.device", 1, {"type", "index"});
  at::Device device = check_device(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_isinteger(L, 2)) throw_argument(L, "torch.device", "index", "an integer", 2);
    device = at::Device(device.type(), static_cast<c10::DeviceIndex>(lua_tointeger(L, 2)));
  }
  push_device(L, device);
  return 1;
}

}  // namespace

const char* dtype_name(at::ScalarType type) noexcept { return tensor::name_of(type).data(); }

void push_dtype(lua_State* L, at::ScalarType type) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kDtypes);
  lua_rawgeti(L, -1, static_cast<lua_Integer>(type) + 1);
  lua_remove(L, -2);
}

void push_device(lua_State* L, at::Device device) { push<at::Device>(L, {device}); }

at::ScalarType check_dtype(lua_State* L, int index) {
  if (const auto* dtype = test<at::ScalarType>(L, index)) return dtype->value;
  throw_usage("expected a dtype such as torch.float32, got " + describe(L, index));
}

at::Device check_device(lua_State* L, int index) {
  at::Device device(at::kCPU);
  if (const auto* handle = test<at::Device>(L, index)) device = handle->value;
  else if (lua_type(L, index) == LUA_TSTRING) device = tensor::parse_device(lua_tostring(L, index));
  else if (lua_isinteger(L, index))
    device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(lua_tointeger(L, index)));
  else throw_usage("expected a device such as \"cpu\" or \"cuda:0\", got " + describe(L, index));
  if (device.is_cuda()) tensor::load_cuda();
  return device;
}

void open_dtypes(lua_State* L) {
  static constexpr Row kDtype[] = {{"__index", guarded<dtype_index>, nullptr},
                                   {"__tostring", guarded<enum_tostring<at::ScalarType>>, nullptr},
                                   {nullptr, nullptr, nullptr}};
  static constexpr Row kLayout[] = {{"__tostring", guarded<enum_tostring<at::Layout>>, nullptr},
                                    {"__eq", guarded<plain_equal<at::Layout>>, nullptr},
                                    {nullptr, nullptr, nullptr}};
  static constexpr Row kFormat[] = {{"__tostring", guarded<enum_tostring<at::MemoryFormat>>, nullptr},
                                    {"__eq", guarded<plain_equal<at::MemoryFormat>>, nullptr},
                                    {nullptr, nullptr, nullptr}};
  static constexpr Row kDevice[] = {{"__index", guarded<device_index>, nullptr},
                                    {"__tostring", guarded<device_tostring>, nullptr},
                                    {"__eq", guarded<plain_equal<at::Device>>, nullptr},
                                    {"__call", guarded<call_on_device>, nullptr},
                                    {nullptr, nullptr, nullptr}};
  static constexpr Row kModule[] = {{"device", guarded<make_device>,
                                     "A device. Called with a function, device(fn, ...) runs fn(...) with it as the "
                                     "default device; for the rest of a "
                                     "block: `local _ <close> = torch.set_default_device(device)`.\n@param type string "
                                     "\"cpu\", \"cuda\", \"cuda:0\" ...\n@param index? integer\n@return "
                                     "device\n@example torch.device(\"cuda:1\").index  --> 1"},
                                    {nullptr, nullptr, nullptr}};
  define_value<at::ScalarType>(L, kDtype);
  define_value<at::Layout>(L, kLayout);
  define_value<at::MemoryFormat>(L, kFormat);
  define_value<at::Device>(L, kDevice);
  set_functions(L, kModule);
  lua_newtable(L);
  for (const auto& row : tensor::dtype_names()) {
    lua_rawgeti(L, -1, static_cast<lua_Integer>(row.type) + 1);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      push<at::ScalarType>(L, {row.type});
      lua_pushvalue(L, -1);
      lua_rawseti(L, -3, static_cast<lua_Integer>(row.type) + 1);
    }
    lua_setfield(L, -3, std::string(row.name).c_str());
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kDtypes);
  for (const auto& row : tensor::layout_names()) {
    push<at::Layout>(L, {row.layout});
    lua_setfield(L, -2, std::string(row.name).c_str());
  }
  for (const auto& row : tensor::memory_format_names()) {
    push<at::MemoryFormat>(L, {row.format});
    lua_setfield(L, -2, std::string(row.name).c_str());
  }
}

}  // namespace trainhost::bindings
