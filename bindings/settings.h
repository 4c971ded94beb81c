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

// The default device as it was, to come back to.
struct DefaultDevice {
  explicit DefaultDevice(lua_State* L) : device(settings(L).default_device) {}
  void leave() const { device = before; }
  std::optional<at::Device>& device;
  const std::optional<at::Device> before = device;
};

}  // namespace trainhost::bindings
