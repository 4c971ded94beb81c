// Complex numbers as Lua values: torch.complex(1, 2).
#pragma once

#include <complex>

#include "bindings/object.h"

namespace trainhost::bindings {

struct Complex {
  std::complex<double> value;
  explicit operator bool() const noexcept { return true; }
};

template <>
struct Type<Complex> {
  using Handle = Complex;
  static constexpr TypeId id = TypeId::complex;
  static constexpr const char* name = "complex";
  static constexpr int user_values = 0;
};

void push_complex(lua_State* L, std::complex<double> value);
// Defines the type and sets torch.complex in the module table on top of the stack.
void open_complex(lua_State* L);

}  // namespace trainhost::bindings
