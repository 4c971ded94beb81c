// The bound that all waits at the end of a process share.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace trainhost::track {

// Ten seconds for all that is stored at the end, or from the last that moved of a file. Any thread.
class End {
 public:
  using Clock = std::chrono::steady_clock;

  // When the end that has begun, or begins now, must be over.
  Clock::time_point by();
  // `limit`, or less where an end has begun.
  std::chrono::milliseconds at_most(std::chrono::milliseconds limit);
  // So many bytes of a file have been sent or copied. Where an end has begun it may last ten seconds from now, if these
  // are more than ever before: what fails and begins anew is no progress.
  void moved(const std::string& file, uint64_t bytes);
  // An end that has begun is over in two seconds, whatever moves: somebody does not want to wait.
  void hasten();
  // By how much progress has put off all ends so far.
  Clock::duration granted() const;
  static std::shared_ptr<End> of_process();

 private:
  bool is_over() const;

  mutable std::mutex mutex_;
  Clock::time_point by_{};
  Clock::duration granted_{};
  bool hastened_ = false;
  std::map<std::string, uint64_t> moved_;  // since the end has begun
};

}  // namespace trainhost::track
