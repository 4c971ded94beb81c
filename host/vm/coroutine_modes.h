// Modes, such as a switched-off recording of gradients, belong to the coroutine that switches them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

struct lua_State;

namespace trainhost::vm {

class State;

// All the modes of the thread that can be compared and set at once; the bindings say what is where. Each bit is one,
// but for the word kWhole.
using Modes = std::array<std::uint64_t, 5>;
inline constexpr std::size_t kWhole = 4;
struct ModeAccess {
  Modes (*read)(State&);
  void (*write)(State&, const Modes&);
};

// Note [Modes of coroutines]
// What a coroutine has switched holds while it runs: at a yield the modes of its resumer come back, at the next resume
// its own. So one that is dropped in the middle leaves nothing behind. What it has not switched, or has switched back,
// is its resumer's. What it leaves switched when it ends stays, as in a function. Scopes in Lua (torch.autocast ...)
// are values with the metamethods __suspend and __resume in a list of the coroutine.

// Once per state.
void open_coroutine_modes(lua_State* L);
// Around a resume of `coroutine`: `begin` before it, `end` with its status after it. `begin` runs Lua functions.
class ModeSwitch {
 public:
  ModeSwitch(lua_State* L, lua_State* coroutine);
  void end(int status);
  // After a reset: what the coroutine had switched ends with it.
  void end_closed();

 private:
  lua_State* L_;
  lua_State* coroutine_;
  const ModeAccess* access_;
  Modes caller_{}, base_{};
  int status_ = 0;  // the coroutine's before
  bool owned_ = false;
};
// Notes the scope at `index`, open in the coroutine L; nothing in the main one. And forgets it.
void keep_scope(lua_State* L, int index);
void drop_scope(lua_State* L, int index);

}  // namespace trainhost::vm
