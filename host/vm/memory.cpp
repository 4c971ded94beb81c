// NativeBytes: full collections paid for by native allocation.
#include "host/vm/memory.h"

#include <ctime>

#include <algorithm>
#include <lua.hpp>
#include <new>

namespace trainhost::vm {
namespace {

// Note [Native bytes drive the collector]
// A tensor is one pointer to Lua, so Lua's own pacing would let gigabytes of dead tensors pile up. Generational
// steps free too little (tensors are promoted before they die: 873 MB peak on 300 chained 4 MB matmuls against
// 243 MB for full collections every 16 MB; PyTorch peaks at 269 MB). A full collection costs in proportion to the
// live script heap, so the budget starts at 16 MB and doubles while collecting takes more than 8 % of the CPU
// time between two collections, and halves again while it takes less than 2 %. Freeing the tensors is not counted: a
// larger budget does not make it cheaper, and where it is most of the work (x + 1 of 4 MB) the budget grew without end
// (1,190 MB peak, 203 MB now; PyTorch 254 MB).
constexpr size_t kLeastBudget = size_t{16} << 20;
constexpr size_t kMostBudget = size_t{1} << 30;
constexpr double kDearShare = 0.08;
constexpr double kCheapShare = 0.02;

double thread_cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

void NativeBytes::collect(lua_State* L) {
  pending_ = 0;
  if (collecting_) return;  // a finalizer that makes tensors
  collecting_ = true;
  ++collections_;
  if (before_) before_(L);
  const double began = thread_cpu_seconds();
  lua_gc(L, LUA_GCCOLLECT);
  const double ended = thread_cpu_seconds();
  if (after_) after_(L);
  collecting_ = false;
  for (const auto& [object, release] : std::exchange(released_, {})) release(object);
  if (!stressed_) {
    const double share = (ended - began) / std::max(ended - collected_at_, 1e-9);
    if (share > kDearShare) budget_ = std::min(budget_ * 2, kMostBudget);
    else if (share < kCheapShare) budget_ = std::max(budget_ / 2, kLeastBudget);
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
