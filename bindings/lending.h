// The values that C++ holds, as Lua's collector sees them: see Note [Cycles through C++] in lending.cpp.
#pragma once

#include <lua.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "host/vm/state.h"

namespace torch::autograd {
struct Node;
}

namespace trainhost::bindings {

// What the references of a state share with it; the mutex is for values let go of on another thread.
struct Alive {
  std::mutex mutex;
  vm::State* state;
  std::vector<uint64_t> serials;                                  // id -> which reference of this state; 0: none now
  uint64_t made = 0;                                              // the serial number of the newest
  std::unordered_map<int, const torch::autograd::Node*> watched;  // the values that may be lent
  bool lent = false;                                              // are any, right now?
};

// Of this state, made at the first call.
const std::shared_ptr<Alive>& alive_of(lua_State* L);

// Pushes the table id -> value.
void push_values(lua_State* L);
// Pushes the value of `id`, wherever it is; a number for one that was let go of.
void push_value(lua_State* L, int id);
// From now on the value of `id` is as alive as the tensors and nodes that hold `node` among the `count` values from
// `first` on (node null: the leaves among them). Unwatch it also if this raises.
void watch(lua_State* L, Alive& alive, int id, int first, int count, const torch::autograd::Node* node);
// Needs four slots of the stack; cannot fail.
void unwatch(lua_State* L, Alive& alive, int id) noexcept;

// Around each full collection. Neither raises: without memory nothing is lent this time.
void lend(lua_State* L);
void take_back(lua_State* L);

}  // namespace trainhost::bindings
