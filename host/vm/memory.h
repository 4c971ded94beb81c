// How bytes that Lua cannot see (tensors) drive Lua's collector.
#pragma once

#include <cstddef>
#include <cstdint>

struct lua_State;

namespace trainhost::vm {

// Lua sees a few bytes for each tensor; the tensor itself may hold gigabytes. Every new native object
// charges its bytes here, and when a budget of new bytes is used up the collector runs in full.
// See Note [Native bytes drive the collector] in memory.cpp.
class NativeBytes {
 public:
  // Counts `bytes` of newly made native memory. True: a collection is due, the caller makes it with `collect` once its
  // own objects are where the collector finds them.
  bool charge(size_t bytes) noexcept {
    pending_ += bytes;
    return pending_ >= budget_;
  }
  // A full collection now, which adapts the budget to what it cost. May run `__gc` of the script: call it only where no
  // operator is running.
  void collect(lua_State* L);
  // The most aggressive collector: a full collection after every `every` bytes (0: off). For tests.
  void stress(int every) noexcept;

  size_t budget() const noexcept { return budget_; }
  uint64_t collections() const noexcept { return collections_; }

 private:
  size_t pending_ = 0;
  size_t budget_ = size_t{16} << 20;
  bool stressed_ = false;
  bool collecting_ = false;
  uint64_t collections_ = 0;
  double collected_at_ = 0.0;  // CPU seconds of this thread when the last collection ended
};

}  // namespace trainhost::vm
