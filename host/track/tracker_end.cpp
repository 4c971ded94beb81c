// What waits in the queues of a tracker: waiting for it, and the end.
#include <algorithm>

#include "host/base/log.h"
#include "host/track/tracker.h"

namespace trainhost::track {

// A queue counts tokens of spools too.
size_t Tracker::Way::waiting() const { return static_cast<size_t>(spools->waiting()) + unkept(); }

size_t Tracker::Way::unkept() const {
  const uint64_t queued = queue->waiting(), tokens = spools->tokens;
  return static_cast<size_t>(queued - std::min(queued, tokens));
}

std::vector<Tracker::Way> Tracker::ways() const {
  std::lock_guard lock(mutex_);
  std::vector<Way> all{files_};
  all.insert(all.end(), servers_.begin(), servers_.end());
  return all;
}

bool Tracker::flush(std::chrono::milliseconds limit, const Store* only) {
  if (only) {
    const Opened& at = opened(*only);
    return at.way.queue->flush(limit, at.lane);
  }
  using std::chrono::milliseconds;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto all = ways();
  for (const Way& way : all) way.queue->flush(milliseconds(0));  // at the same time
  bool done = true;
  for (const Way& way : all) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    done &= way.queue->flush(std::max(left, milliseconds(0)));
  }
  return done;
}

size_t Tracker::close(std::chrono::milliseconds limit) {
  const auto all = ways();
  for (const Way& way : all) way.queue->close(limit);
  syncer_.stop();
  const size_t left = waiting();
  if (!left || left_told_.exchange(true)) return left;
  for (const Way& way : all) {
    const auto tell = [&](size_t count, const char* becomes) {
      if (!count) return;
      const std::string place = way.name.empty() ? way.queue->waiting_for() : "'" + way.name + "'";
      log::warn("mlflow: " + std::to_string(count) + " records for " + place +
                " could not be stored before the process ended" + becomes);
    };
    const size_t lost = way.unkept();
    tell(way.waiting() - lost, ": they are kept on disk (the next start stores them, or `trainhost sync`)");
    tell(lost, " and are lost");
  }
  return left;
}

size_t Tracker::waiting() const {
  size_t left = 0;
  for (const Way& way : ways()) left += way.waiting();
  return left;
}

size_t Tracker::held() const {
  size_t count = 0;
  for (const Way& way : ways()) count += static_cast<size_t>(way.spools->held());
  return count;
}

}  // namespace trainhost::track
