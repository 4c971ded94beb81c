// NativeBytes: collections paid for by native allocation.
#include "host/vm/memory.h"

#include <ctime>

#include <algorithm>
#include <lua.hpp>
#include <new>
#include <utility>

#include "host/vm/finalizers.h"

namespace trainhost::vm {
namespace {

// Note [Native bytes drive the collector]
// A tensor is one pointer to Lua, so Lua's own pacing would let gigabytes of dead tensors pile up. After every 16 MB of
// new native memory the young are collected (Lua's generational mode), which costs nearly nothing whatever the size of
// the script's own heap. A tensor that was held through two of these is old, and only a full collection frees it: one
// is made when what was made since the last full one, less what came back, exceeds a second budget, which starts at
// 16 MB and doubles while full collections take more than 8 % of the CPU time (a full one costs in proportion to the
// script's heap) and halves while they take less than 2 %. Freeing the tensors is not counted: it costs the same
// whenever it is done.
// What it was measured against is in tests/bench/README.md: full collections alone every 16 to 256 MB or by a share of
// what is live, generational and incremental steps alone. The figures to remember, peak MB and CPU seconds: beside
// 300,000 tables of the script, full collections every 16 MB 186 and 4.5, with a budget that grew with their price 1204
// and 1.6, this 187 and 0.8; generational steps alone never free a tensor that grew old.
constexpr size_t kLeastBudget = size_t{16} << 20;
constexpr int kMinorGrowth = 100;  // percent by which the script's own heap grows between collections of the young
constexpr size_t kMostBudget = size_t{1} << 30;
constexpr double kDearShare = 0.08;
constexpr double kCheapShare = 0.02;

double thread_cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class Collect>
void in_room(lua_State* L, Collect collect) {
  call_with_room(
      L, [](lua_State* room, void* data) { (*static_cast<Collect*>(data))(room); }, &collect);
}

}  // namespace

NativeBytes::NativeBytes() noexcept : budget_(kLeastBudget), full_budget_(kLeastBudget) {}

template <class Collect>
void NativeBytes::run(Collect collect) {
  // Also when a hook of the collection fails: there is no memory.
  struct End {
    NativeBytes& bytes;
    ~End() {
      bytes.collecting_ = false;
      for (const auto& [object, release] : std::exchange(bytes.released_, {})) release(object);
    }
  };
  collecting_ = true;
  ++collections_;
  const End end{*this};
  collect();
}

void NativeBytes::collect_due(lua_State* L) {
  if (collecting_) return;  // or a finalizer makes tensors
  growth_ += pending_;
  pending_ = 0;
  if (stressed_) return collect(L);
  in_room(L, [&](lua_State* room) {
    run([&] {
      lua_gc(room, LUA_GCGEN, kMinorGrowth, 0);  // nothing if it is so already
      lua_gc(room, LUA_GCSTEP, 0);
    });
  });
  if (growth_ >= full_budget_) collect(L);
}

void NativeBytes::collect(lua_State* L) {
  if (collecting_) return;
  pending_ = 0;
  ++full_collections_;
  double began = 0, ended = 0;
  in_room(L, [&](lua_State* room) {
    run([&] {
      if (before_) before_(room);
      began = thread_cpu_seconds();
      lua_gc(room, LUA_GCCOLLECT);
      ended = thread_cpu_seconds();
      if (after_) after_(room);
    });
  });
  growth_ = 0;
  if (!stressed_) {
    const double share = (ended - began) / std::max(ended - collected_at_, 1e-9);
    if (share > kDearShare) full_budget_ = std::min(full_budget_ * 2, kMostBudget);
    else if (share < kCheapShare) full_budget_ = std::max(full_budget_ / 2, kLeastBudget);
  }
  collected_at_ = thread_cpu_seconds();
}

bool NativeBytes::release_later(void* object, void (*release)(void*)) noexcept {
  if (!collecting_) return false;
  try {
    released_.emplace_back(object, release);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void NativeBytes::stress(int every) noexcept {
  stressed_ = every > 0;
  budget_ = stressed_ ? static_cast<size_t>(every) : kLeastBudget;
}

}  // namespace trainhost::vm
