// When the end of a process begins, and when it is over.
#include "host/track/end.h"

#include <algorithm>

namespace trainhost::track {
namespace {

using namespace std::chrono_literals;

constexpr auto kEnd = 10s;

}  // namespace

// Ends that begin while another one lasts, or right after it, are one.
bool End::is_over() const { return Clock::now() > by_ + 1s; }

End::Clock::time_point End::by() {
  std::lock_guard lock(mutex_);
  if (is_over()) by_ = Clock::now() + kEnd;
  return by_;
}

std::chrono::milliseconds End::at_most(std::chrono::milliseconds limit) {
  std::lock_guard lock(mutex_);
  if (is_over()) return limit;
  return std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(by_ - Clock::now()), 0ms, limit);
}

std::shared_ptr<End> End::of_process() {
  static const auto end = std::make_shared<End>();
  return end;
}

}  // namespace trainhost::track
