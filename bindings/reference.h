// Lua values that C++ holds, and calls from C++ back into Lua.
#pragma once

#include <exception>
#include <lua.hpp>
#include <memory>

#include "bindings/guard.h"
#include "host/vm/state.h"

namespace torch::autograd {
struct Node;
}

namespace trainhost::bindings {

struct Alive;  // knows the state as long as there is one

// Keeps a Lua value. May be let go of on any thread, and after the state is closed.
class Reference {
 public:
  // Takes the value at `index`, which stays on the stack.
  Reference(lua_State* L, int index);
  ~Reference();
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  // The coroutine that runs in the value's state: where to call back into Lua. A usage Error where the state is closed,
  // or on another thread than its own.
  lua_State* running() const;
  // Pushes the value on a stack of its own state.
  void push(lua_State* L) const;
  bool belongs_to(const vm::State& state) const noexcept;
  bool is_alive() const noexcept;  // false once the state is closed

  // Tells that autograd holds this value for the tensors among the `count` values from `first` on: as a hook of theirs,
  // or for the node that made them (null: they are leaves), which may be among the values too. See Note [Cycles through
  // C++] in lending.cpp.
  void held_for(lua_State* L, int first, int count, const torch::autograd::Node* node);

  // How many there are in the process: none, and no backward calls Lua.
  static int count() noexcept;

 private:
  std::shared_ptr<Alive> alive_;
  int id_;
  bool watched_ = false;
};

// What a Lua function raised, on its way through C++ that knows no Lua: the value itself arrives at the caller.
class Raised : public Error {
 public:
  Raised(Error error, std::shared_ptr<const Reference> value) : Error(std::move(error)), value_(std::move(value)) {}
  const std::shared_ptr<const Reference>& value() const noexcept { return value_; }

 private:
  std::shared_ptr<const Reference> value_;
};

// Once per state: collections look for cycles through C++, `collectgarbage()` too.
void open_references(lua_State* L);

// Calls `job(L, data)` protected, with the top `count` values alone on its stack; what it leaves there comes back.
// Returns how many. Throws what it throws, and Raised for a Lua error; the values are gone then.
int protected_call(lua_State* L, int count, void (*job)(lua_State*, void*), void* data);

template <class F>
int protect(lua_State* L, int count, F f) {
  return protected_call(
      L, count, [](lua_State* inner, void* data) { (*static_cast<F*>(data))(inner); }, &f);
}

}  // namespace trainhost::bindings
