// The bound that all waits at the end of a process share.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>

namespace trainhost::track {

// Ten seconds for all that is stored at the end. Any thread.
class End {
 public:
  using Clock = std::chrono::steady_clock;

  // When the end that has begun, or begins now, must be over.
  Clock::time_point by();
  // `limit`, or less where an end has begun.
  std::chrono::milliseconds at_most(std::chrono::milliseconds limit);
  static std::shared_ptr<End> of_process();

 private:
  bool is_over() const;

  std::mutex mutex_;
  Clock::time_point by_{};
};

}  // namespace trainhost::track
