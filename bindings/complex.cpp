// Arithmetic of complex numbers, as Python's.
#include "bindings/complex.h"

#include <cmath>
#include <optional>

#include "bindings/ops.h"
#include "bindings/tensor.h"
#include "host/tensor/number_text.h"

namespace trainhost::bindings {
namespace {

using Number = std::complex<double>;

std::optional<Number> test_number(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TNUMBER) return Number(lua_tonumber(L, index));
  const Complex* complex = test<Complex>(L, index);
  return complex ? std::optional<Number>(complex->value) : std::nullopt;
}

// Python's algorithm: scaled by the larger part of the divisor, whose bits C++ does not promise.
Number divide(Number a, Number b) {
  if (b == Number()) throw_usage("complex division by zero");
  if (std::fabs(b.real()) >= std::fabs(b.imag())) {
    const double ratio = b.imag() / b.real(), divisor = b.real() + b.imag() * ratio;
    return {(a.real() + a.imag() * ratio) / divisor, (a.imag() - a.real() * ratio) / divisor};
  }
  const double ratio = b.real() / b.imag(), divisor = b.real() * ratio + b.imag();
  return {(a.real() * ratio + a.imag()) / divisor, (a.imag() * ratio - a.real()) / divisor};
}

Number multiply(Number a, Number b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Number power(Number a, Number b) {
  if (b == Number()) return 1;
  if (a == Number()) {
    if (b.imag() != 0 || b.real() < 0) throw_usage("0 to a negative or complex power");
    return 0;
  }
  const double exponent = b.real();
  if (b.imag() == 0 && exponent == std::floor(exponent) && std::fabs(exponent) <= 100) {
    Number result = 1, base = a;
    for (auto left = static_cast<int>(std::fabs(exponent)); left > 0; left >>= 1) {
      if (left & 1) result = multiply(result, base);
      base = multiply(base, base);
    }
    return exponent < 0 ? divide(1, result) : result;
  }
  const double size = std::abs(a), angle = std::arg(a);
  double length = std::pow(size, exponent), turned = angle * exponent;
  if (b.imag() != 0) {
    length /= std::exp(angle * b.imag());
    turned += b.imag() * std::log(size);
  }
  return {length * std::cos(turned), length * std::sin(turned)};
}

constexpr char kNames[] = "+-*/^";

template <char sign>
int arithmetic(lua_State* L) {
  static constexpr const char* kMetamethods[] = {"__add", "__sub", "__mul", "__div", "__pow"};
  constexpr auto kNth = std::string_view(kNames).find(sign);
  const auto a = test_number(L, 1), b = test_number(L, 2);
  if (!a || !b) {
    // z + x: Lua asks the left operand first, the tensor knows.
    if (!test_tensor(L, 2)) throw_usage("cannot compute " + describe(L, 1) + " " + sign + " " + describe(L, 2));
    lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::tensor));
    lua_getfield(L, -1, kMetamethods[kNth]);
    const bool swaps = sign == '+' || sign == '*';  // Python's x.__radd__(z) is x + z
    lua_pushvalue(L, swaps ? 2 : 1);
    lua_pushvalue(L, swaps ? 1 : 2);
    lua_call(L, 2, 1);
    return 1;
  }
  push_complex(L, sign == '+'   ? *a + *b
                  : sign == '-' ? *a - *b
                  : sign == '*' ? multiply(*a, *b)
                  : sign == '/' ? divide(*a, *b)
                                : power(*a, *b));
  return 1;
}

int negative(lua_State* L) { return push_complex(L, -check<Complex>(L, 1).value), 1; }
int equal(lua_State* L) {
  const auto a = test_number(L, 1), b = test_number(L, 2);
  return lua_pushboolean(L, a && b && *a == *b), 1;
}
int text(lua_State* L) {
  const std::string text = tensor::number_text(check<Complex>(L, 1).value);
  return lua_pushlstring(L, text.data(), text.size()), 1;
}
int conjugate(lua_State* L) { return push_complex(L, std::conj(check<Complex>(L, 1).value)), 1; }
int abs(lua_State* L) { return lua_pushnumber(L, std::abs(check<Complex>(L, 1).value)), 1; }

// Upvalue: the methods.
int index(lua_State* L) {
  const Number value = check<Complex>(L, 1).value;
  const std::string_view name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (name == "real") return lua_pushnumber(L, value.real()), 1;
  if (name == "imag") return lua_pushnumber(L, value.imag()), 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
    throw_usage("a complex number has no field " + describe(L, 2), "it has real, imag, conjugate() and abs()");
  return 1;
}

// torch.complex(re, im) of numbers is a number, of tensors the operator. Upvalue: the operator.
int make(lua_State* L) {
  if (lua_gettop(L) == 2 && lua_type(L, 1) == LUA_TNUMBER && lua_type(L, 2) == LUA_TNUMBER) {
    push_complex(L, {lua_tonumber(L, 1), lua_tonumber(L, 2)});
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

}  // namespace

void push_complex(lua_State* L, std::complex<double> value) { push<Complex>(L, {value}); }

void open_complex(lua_State* L) {
  static constexpr Row kMetamethods[] = {{"__add", guarded<arithmetic<'+'>>, nullptr},
                                         {"__sub", guarded<arithmetic<'-'>>, nullptr},
                                         {"__mul", guarded<arithmetic<'*'>>, nullptr},
                                         {"__div", guarded<arithmetic<'/'>>, nullptr},
                                         {"__pow", guarded<arithmetic<'^'>>, nullptr},
                                         {"__unm", guarded<negative>, nullptr},
                                         {"__eq", guarded<equal>, nullptr},
                                         {"__tostring", guarded<text>, nullptr},
                                         {nullptr, nullptr, nullptr}};
  static constexpr Row kMethods[] = {{"conjugate", guarded<conjugate>, "@return complex"},
                                     {"abs", guarded<abs>, "Its distance from 0: Python's abs(z).\n@return number"},
                                     {nullptr, nullptr, nullptr}};
  define<Complex>(L, nullptr, kMetamethods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::complex));
  lua_newtable(L);
  set_functions(L, kMethods);
  lua_pushcclosure(L, guarded<index>, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  push_operator(L, "complex", Form::function);
  lua_pushcclosure(L, guarded<make>, 1);
  lua_setfield(L, -2, "complex");
}

}  // namespace trainhost::bindings
