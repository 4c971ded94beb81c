// One Lua state: its libraries, its options, its calls into scripts, its interruption.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <lua.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/error.h"
#include "host/vm/coroutine_modes.h"
#include "host/vm/interrupt.h"
#include "host/vm/memory.h"

namespace trainhost::vm {

// Every native type that Lua holds as a userdata has one slot here; `State::metatable` is indexed by it.
enum class TypeId : unsigned char {
  tensor,
  dtype,
  device,
  layout,
  memory_format,
  generator,
  complex,
  node,
  context,
  handle,
  scope,
  module,
  optimizer,
  dataset,
  loader,
  loader_iterator,
  run,
  function,
  stream,
  event,
  event_file,
  door,
  caller,
  count
};

struct Options {
  std::string script_name;                    // arg[0] in Lua
  std::vector<std::string> args;              // arg[1..] in Lua
  std::map<std::string, std::string> params;  // --set name=value, read by host.param
  std::string stdlib_dir;                     // empty: the standard library embedded in the binary
  int collect_every = 0;                      // > 0: the most aggressive collector, see NativeBytes::stress
  std::string program;                        // the trainhost program, if this process is one
};

// Owns a lua_State. Belongs to the thread that made it: only `interrupt` may be called from elsewhere.
class State {
 public:
  explicit State(Options options);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Runs the finalizers and frees the Lua state; the destructor does it too. Interrupts are heard meanwhile; requests
  // and posts of other threads may still come afterwards, until the destructor.
  void close() noexcept;

  // The State that owns L (or L's main thread): one load.
  static State& of(lua_State* L) noexcept { return **static_cast<State**>(lua_getextraspace(L)); }

  lua_State* lua() const noexcept { return lua_; }
  const Options& options() const noexcept { return options_; }
  NativeBytes& native_bytes() noexcept { return native_bytes_; }
  Interrupts& interrupts() noexcept { return interrupts_; }
  // What the bindings keep for this state; null until they make it. It outlives the Lua state.
  std::shared_ptr<void>& kept() noexcept { return kept_; }
  // How the modes that coroutines keep are reached: null until the bindings say. It lives as long as the program.
  const ModeAccess*& mode_access() noexcept { return mode_access_; }
  // Has any coroutine been suspended with a mode of its own?
  bool& coroutines_switched() noexcept { return coroutines_switched_; }
  // The address of the metatable of a native type, for a type check by pointer; null before it is defined.
  const void*& metatable(TypeId type) noexcept { return metatables_[static_cast<size_t>(type)]; }

  // Both compile and run in protected mode and throw Error with the traceback of the failing line. (A Lua error outside
  // any protected call is thrown as Error too, and empties the stack.)
  // `chunk_name` as in luaL_loadbuffer. Results stay on the stack; returns how many.
  int run_file(const std::string& path);
  int run_string(std::string_view code, const std::string& chunk_name);
  // Calls the function below its `nargs` arguments on the stack; throws Error. Returns the number of results.
  int call(int nargs, int nresults);

  // Stops the script that runs in this state with an `interrupted` error as soon as its current operator
  // returns. Async-signal-safe and callable from any thread. Returns how many requests this script has had.
  int interrupt() noexcept { return interrupts_.request(); }
  // What the script gave to os.exit if that ended the last run_* or call (which then return without results).
  const std::optional<int>& exit_code() const noexcept { return interrupts_.exit_code(); }

 private:
  Options options_;
  std::shared_ptr<void> kept_;
  NativeBytes native_bytes_;
  Interrupts interrupts_;
  std::array<const void*, static_cast<size_t>(TypeId::count)> metatables_{};
  const ModeAccess* mode_access_ = nullptr;
  bool coroutines_switched_ = false;
  lua_State* lua_ = nullptr;
};

}  // namespace trainhost::vm
