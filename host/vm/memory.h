// How bytes that Lua cannot see (tensors) drive Lua's collector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

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
    charged_ += bytes;
    return pending_ >= budget_;
  }
  // Collects in full and adapts the budget to what the collection cost. May run `__gc` and `__close` of the script:
  // call it only where no operator is running.
  void collect(lua_State* L);
  // Has `before` and `after` called around every collection that `collect` makes: see Note [Cycles through C++] in
  // bindings/reference.cpp.
  void around_collections(void (*before)(lua_State*), void (*after)(lua_State*)) noexcept {
    before_ = before;
    after_ = after;
  }
  // For the `__gc` of a native object: has `release(object)` called after the collection that is running, so that
  // what freeing costs is not taken for the price of collecting. False if none is running: release it at once.
  bool release_later(void* object, void (*release)(void*)) noexcept;
  // The most aggressive collector: a full collection after every `every` bytes (0: off). For tests.
  void stress(int every) noexcept;

  uint64_t charged() const noexcept { return charged_; }  // ever
  size_t budget() const noexcept { return budget_; }
  uint64_t collections() const noexcept { return collections_; }

 private:
  size_t pending_ = 0;
  uint64_t charged_ = 0;
  size_t budget_ = size_t{16} << 20;
  bool stressed_ = false;
  bool collecting_ = false;
  uint64_t collections_ = 0;
  void (*before_)(lua_State*) = nullptr;
  void (*after_)(lua_State*) = nullptr;
  std::vector<std::pair<void*, void (*)(void*)>> released_;
  double collected_at_ = 0.0;  // CPU seconds of this thread when the last collection ended
};

}  // namespace trainhost::vm
