// When the end of a process begins, and when it is over.
#include "host/track/end.h"

#include <algorithm>

namespace trainhost::track {
namespace {

using namespace std::chrono_literals;

constexpr auto kEnd = 10s, kHaste = 2s;
constexpr uint64_t kStep = uint64_t{64} << 10;  // bytes; what moves more slowly stands still

}  // namespace

// Ends that begin while another one lasts, or right after it, are one.
bool End::is_over() const { return Clock::now() > by_ + 1s; }

End::Clock::time_point End::by() {
  std::lock_guard lock(mutex_);
  if (is_over()) {
    by_ = Clock::now() + kEnd;
    moved_.clear();
    hastened_ = false;
  }
  return by_;
}

void End::hasten() {
  std::lock_guard lock(mutex_);
  if (is_over()) return;
  hastened_ = true;
  by_ = std::min(by_, Clock::now() + kHaste);
}

void End::moved(const std::string& file, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (is_over() || hastened_) return;
  uint64_t& most = moved_[file];
  if (bytes < most + kStep) return;
  most = bytes;
  const auto by = Clock::now() + kEnd;
  granted_ += by - by_;
  by_ = by;
}

End::Clock::duration End::granted() const {
  std::lock_guard lock(mutex_);
  return granted_;
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
