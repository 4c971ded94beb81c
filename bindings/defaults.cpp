// The default dtype and device, and the limits of dtypes: torch.finfo, torch.iinfo.
#include <c10/core/DefaultDtype.h>
#include <c10/core/ScalarType.h>

#include <cmath>
#include <limits>
#include <utility>

#include "bindings/autograd.h"
#include "bindings/dtype.h"
#include "bindings/indexing.h"
#include "bindings/keywords.h"
#include "bindings/settings.h"

namespace trainhost::bindings {
namespace {

int set_default_dtype(lua_State* L) {
  spread_keywords(L, "torch.set_default_dtype", 1, {"d"});
  const at::ScalarType type = check_dtype(L, 1);
  if (!at::isFloatingType(type))
    throw Error(ErrorKind::dtype, std::string("torch.set_default_dtype: only floating-point types are supported as the "
                                              "default type, got torch.") +
                                      dtype_name(type));
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(type));
  return 0;
}

int get_default_dtype(lua_State* L) { return push_dtype(L, c10::get_default_dtype_as_scalartype()), 1; }

int set_default_device(lua_State* L) {
  spread_keywords(L, "torch.set_default_device", 1, {"device"});
  std::optional<at::Device> next;
  if (!lua_isnoneornil(L, 1) && !is_none(L, 1)) next = check_device(L, 1);
  push<Scope>(L, std::make_shared<Scope>([device = DefaultDevice(L)] { device.leave(); }));
  settings(L).default_device = next;
  return 1;
}

int get_default_device(lua_State* L) {
  at::Device device = settings(L).default_device.value_or(at::Device(at::kCPU));
  if (device.is_cuda() && !device.has_index()) device.set_index(0);
  push_device(L, device);
  return 1;
}

// --- finfo, iinfo: tables of fields, as Python's objects of fields.

void set_number(lua_State* L, const char* name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

void set_text(lua_State* L, const char* name, std::string_view value) {
  lua_pushlstring(L, value.data(), value.size());
  lua_setfield(L, -2, name);
}

int refuse_assignment(lua_State*) { throw_usage("the limits of a dtype cannot be assigned"); }

// `text` is what tostring gives; the fields are read only.
void finish_info(lua_State* L, const std::string& text) {
  lua_newtable(L);
  lua_newtable(L);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushlstring(L, text.data(), text.size());
  lua_pushcclosure(
      L, [](lua_State* state) { return lua_pushvalue(state, lua_upvalueindex(1)), 1; }, 1);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, guarded<refuse_assignment>);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

struct Limits {
  double eps, max, min, smallest;
  int digits;
};

template <class T>
Limits limits_of() {
  using L = std::numeric_limits<T>;
  return {static_cast<double>(L::epsilon()), static_cast<double>(L::max()), static_cast<double>(L::lowest()),
          static_cast<double>(L::min()), L::digits10};
}

std::optional<Limits> float_limits(at::ScalarType type) {
  switch (type) {
#define TRAINHOST_LIMITS(T, name) \
  case at::ScalarType::name:      \
    return limits_of<T>();
    TRAINHOST_LIMITS(double, Double)
    TRAINHOST_LIMITS(float, Float)
    TRAINHOST_LIMITS(at::Half, Half)
    TRAINHOST_LIMITS(at::BFloat16, BFloat16)
    TRAINHOST_LIMITS(c10::Float8_e5m2, Float8_e5m2)
    TRAINHOST_LIMITS(c10::Float8_e4m3fn, Float8_e4m3fn)
    TRAINHOST_LIMITS(c10::Float8_e5m2fnuz, Float8_e5m2fnuz)
    TRAINHOST_LIMITS(c10::Float8_e4m3fnuz, Float8_e4m3fnuz)
    TRAINHOST_LIMITS(c10::Float8_e8m0fnu, Float8_e8m0fnu)
#undef TRAINHOST_LIMITS
    default:
      return std::nullopt;
  }
}

int finfo(lua_State* L) {
  spread_keywords(L, "torch.finfo", 1, {"type"});
  at::ScalarType type = lua_isnoneornil(L, 1) ? c10::get_default_dtype_as_scalartype() : check_dtype(L, 1);
  if (at::isComplexType(type)) type = c10::toRealValueType(type);
  const auto limits = float_limits(type);
  if (!limits)
    throw Error(ErrorKind::dtype, std::string("torch.finfo() requires a floating point input type. Use torch.iinfo to "
                                              "handle 'torch.") +
                                      dtype_name(type) + "'");
  const double resolution = std::pow(10, -limits->digits);
  lua_newtable(L);
  lua_pushinteger(L, static_cast<lua_Integer>(c10::elementSize(type)) * 8);
  lua_setfield(L, -2, "bits");
  set_number(L, "eps", limits->eps);
  set_number(L, "max", limits->max);
  set_number(L, "min", limits->min);
  set_number(L, "smallest_normal", limits->smallest);
  set_number(L, "tiny", limits->smallest);
  set_number(L, "resolution", resolution);
  set_text(L, "dtype", dtype_name(type));
  finish_info(L, "finfo(resolution=" + short_number(resolution) + ", min=" + short_number(limits->min) +
                     ", max=" + short_number(limits->max) + ", eps=" + short_number(limits->eps) +
                     ", smallest_normal=" + short_number(limits->smallest) +
                     ", tiny=" + short_number(limits->smallest) + ", dtype=" + dtype_name(type) + ")");
  return 1;
}

int iinfo(lua_State* L) {
  spread_keywords(L, "torch.iinfo", 1, {"type"});
  const at::ScalarType type = check_dtype(L, 1);
  if (!at::isIntegralType(type, /*includeBool=*/false))
    throw Error(ErrorKind::dtype, type == at::kBool
                                      ? "torch.bool is not supported by torch.iinfo"
                                      : std::string("torch.iinfo() requires an integer input type. Use torch.finfo to "
                                                    "handle 'torch.") +
                                            dtype_name(type) + "'");
  const int bits = static_cast<int>(c10::elementSize(type)) * 8;
  const bool is_signed = at::isSignedType(type);
  const lua_Integer least = is_signed ? static_cast<lua_Integer>(-1) << (bits - 1) : 0;
  lua_newtable(L);
  lua_pushinteger(L, bits);
  lua_setfield(L, -2, "bits");
  lua_pushinteger(L, least);
  lua_setfield(L, -2, "min");
  double most = 0;
  if (bits == 64 && !is_signed) {
    most = std::ldexp(1.0, 64);  // Lua's integers end at 2^63 - 1
    lua_pushnumber(L, most);
  } else {
    const lua_Integer value = is_signed ? ~least : (static_cast<lua_Integer>(1) << bits) - 1;
    most = static_cast<double>(value);
    lua_pushinteger(L, value);
  }
  lua_setfield(L, -2, "max");
  set_text(L, "dtype", dtype_name(type));
  finish_info(L, "iinfo(min=" + short_number(static_cast<double>(least)) + ", max=" + short_number(most) +
                     ", dtype=" + dtype_name(type) + ")");
  return 1;
}

}  // namespace

Settings& settings(lua_State* L) {
  auto& kept = vm::State::of(L).kept();
  if (!kept) kept = std::make_shared<Settings>();
  return *static_cast<Settings*>(kept.get());
}

const at::Device* default_device(lua_State* L) {
  const auto& device = settings(L).default_device;
  return device ? &*device : nullptr;
}

void set_default_functions(lua_State* L) {
  static constexpr Row kRows[] = {
      {"set_default_dtype", guarded<set_default_dtype>,
       "The dtype of floating-point tensors from now on.\n@param dtype dtype\n@example "
       "torch.set_default_dtype(torch.float64)\ntorch.ones(1).dtype  --> "
       "torch.float64\ntorch.set_default_dtype(torch.float32)"},
      {"get_default_dtype", guarded<get_default_dtype>,
       "@return dtype\n@example torch.get_default_dtype()  --> torch.float32"},
      {"set_default_device", guarded<set_default_device>,
       "The device of tensors that are made without one: for good as a statement, or until `local _ <close> = "
       "torch.set_default_device(\"cuda\")` ends.\n@param device device|string|nil nil: the CPU\n@return scope"
       "\n@example do local _ <close> = torch.set_default_device(\"meta\") test.truthy(torch.ones(1).is_meta) "
       "end\ntorch.ones(1).device  --> cpu"},
      {"get_default_device", guarded<get_default_device>,
       "@return device"
       "\n@example torch.get_default_device()  --> cpu"},
      {"finfo", guarded<finfo>,
       "The limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution.\n@param dtype? "
       "dtype the default one\n@return table\n@example torch.finfo(torch.float16).max  --> 65504.0"},
      {"iinfo", guarded<iinfo>,
       "The limits of an integer dtype: bits, min, max.\n@param dtype dtype\n@return table\n@example "
       "torch.iinfo(torch.int8).min  --> -128"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
