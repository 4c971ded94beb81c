// Lua functions held by C++, and C++ functions held by Lua.
#pragma once

#include <memory>
#include <vector>

#include "bindings/object.h"
#include "host/trainhost.h"

namespace trainhost {

class Function::Target {
 public:
  virtual ~Target() = default;
  virtual std::vector<Value> call(std::span<const Value> arguments) const = 0;
};

}  // namespace trainhost

namespace trainhost::bindings {

template <>
struct Type<Function> {
  using Handle = std::shared_ptr<Function::Target>;
  static constexpr TypeId id = TypeId::function;
  static constexpr const char* name = "function";
  static constexpr int user_values = 0;
};

}  // namespace trainhost::bindings
