// Random number generators as Lua values.
#pragma once

#include <memory>

#include "bindings/object.h"

namespace at {
struct Generator;
}

namespace trainhost::bindings {

template <>
struct Type<at::Generator> {
  using Handle = std::shared_ptr<at::Generator>;
  static constexpr TypeId id = TypeId::generator;
  static constexpr const char* name = "Generator";
  static constexpr int user_values = 0;
};

// The integer at `index` as a seed: any 64-bit integer, negative ones wrap as in PyTorch; fractions are cut off.
uint64_t check_seed(lua_State* L, int index, const char* function);

// Defines the type and sets torch.Generator, torch.default_generator, manual_seed, get_rng_state ... in the table on
// top.
void open_generators(lua_State* L);

}  // namespace trainhost::bindings
