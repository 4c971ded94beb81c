// What waits in the queues of a tracker: waiting for it, and the end.
#include <algorithm>

#include "host/base/log.h"
#include "host/track/tracker.h"

namespace trainhost::track {

std::vector<std::shared_ptr<Queue>> Tracker::queues() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Queue>> all{queue_};
  all.insert(all.end(), servers_.begin(), servers_.end());
  return all;
}

bool Tracker::flush(std::chrono::milliseconds limit, const Store* only) {
  if (only) {
    const Opened& at = opened(*only);
    return at.queue->flush(limit, at.lane);
  }
  using std::chrono::milliseconds;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto all = queues();
  for (const auto& queue : all) queue->flush(milliseconds(0));  // at the same time
  bool done = true;
  for (const auto& queue : all) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    done &= queue->flush(std::max(left, milliseconds(0)));
  }
  return done;
}

size_t Tracker::close(std::chrono::milliseconds limit) {
  const auto all = queues();
  for (const auto& queue : all) queue->close(limit);
  const size_t left = waiting();
  if (!left || left_told_.exchange(true)) return left;
  const auto tell = [](size_t count, const Queue& queue, const char* becomes) {
    if (count)
      log::warn("mlflow: " + std::to_string(count) + " records for " + queue.waiting_for() +
                " could not be stored before the process ended" + becomes);
  };
  const size_t files = files_waiting(), kept = std::min<size_t>(files, spools_->waiting());
  tell(kept, *queue_, ": they are kept on disk (the next start stores them, or `trainhost sync`)");
  tell(files - kept, *queue_, " and are lost");
  for (size_t i = 1; i < all.size(); ++i) tell(all[i]->waiting(), *all[i], " and are lost");
  return left;
}

size_t Tracker::files_waiting() const {
  const uint64_t queued = queue_->waiting(), tokens = spools_->tokens;
  return static_cast<size_t>(spools_->waiting() + queued - std::min(queued, tokens));
}

size_t Tracker::waiting() const {
  size_t left = files_waiting();
  std::lock_guard lock(mutex_);
  for (const auto& queue : servers_) left += queue->waiting();
  return left;
}

}  // namespace trainhost::track
