// How bytes that Lua cannot see (tensors) drive Lua's collector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "host/vm/scope.h"

struct lua_State;

namespace trainhost::vm {

// Lua sees a few bytes for each tensor; the tensor itself may hold gigabytes. Every new native object charges its
// bytes here, and every one that is let go gives them back; when enough new bytes have come the collector runs.
// See Note [Native bytes drive the collector] in memory.cpp.
class NativeBytes {
 public:
  NativeBytes() noexcept;

  // Counts `bytes` of newly made native memory. True: a collection is due, the caller makes it with `collect_due` once
  // its own objects are where the collector finds them.
  bool charge(size_t bytes) noexcept {
    pending_ += bytes;
    charged_ += bytes;
    return pending_ >= budget_;
  }
  // Counts `bytes` that an object gave back when it was collected, closed or freed.
  void discharge(size_t bytes) noexcept {
    const size_t of_pending = collecting_ ? 0 : bytes < pending_ ? bytes : pending_;
    pending_ -= of_pending;
    growth_ -= bytes - of_pending < growth_ ? bytes - of_pending : growth_;
  }
  // Collects what is young, and everything where that gave too little back. May run `__gc` and `__close` of the script:
  // call it only where no operator is running.
  void collect_due(lua_State* L);
  // Collects everything, now.
  void collect(lua_State* L);
  // Has `before` and `after` called around every full collection: see Note [Cycles through C++] in
  // bindings/lending.cpp.
  void around_collections(void (*before)(lua_State*), void (*after)(lua_State*)) noexcept {
    before_ = before;
    after_ = after;
  }
  // For the `__gc` of a native object: has `release(object)` called after the collection that is running, so that
  // what freeing costs is not taken for the price of collecting. False if none is running: release it at once.
  bool release_later(void* object, void (*release)(void*)) noexcept;
  // The most aggressive collector: a full collection after every `every` bytes (0: off). For tests.
  void stress(int every) noexcept;

  // The innermost torch.scope that runs, or null.
  ScopeList* scope() const noexcept { return scope_; }
  void set_scope(ScopeList* scope) noexcept { scope_ = scope; }

  uint64_t charged() const noexcept { return charged_; }  // ever
  size_t budget() const noexcept { return budget_; }
  uint64_t collections() const noexcept { return collections_; }
  uint64_t full_collections() const noexcept { return full_collections_; }

 private:
  template <class Collect>
  void run(Collect collect);

  size_t pending_ = 0;  // charged since the last collection
  size_t growth_ = 0;   // charged and not given back since the last full one
  uint64_t charged_ = 0;
  size_t budget_;       // of new bytes, for a collection
  size_t full_budget_;  // of growth, for a full one
  bool stressed_ = false;
  bool collecting_ = false;
  uint64_t collections_ = 0, full_collections_ = 0;
  void (*before_)(lua_State*) = nullptr;
  void (*after_)(lua_State*) = nullptr;
  std::vector<std::pair<void*, void (*)(void*)>> released_;
  ScopeList* scope_ = nullptr;
  double collected_at_ = 0.0;  // CPU seconds of this thread when the last full collection ended
};

}  // namespace trainhost::vm
