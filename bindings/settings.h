// What a script has set, for its own state: the next host of the thread begins anew.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <unordered_set>

struct lua_State;

namespace trainhost::tensor {
struct Overload;
}

namespace trainhost::bindings {

struct Settings {
  std::optional<at::Device> default_device;
  std::unordered_set<const tensor::Overload*> deprecations_told;
};

Settings& settings(lua_State* L);

}  // namespace trainhost::bindings
