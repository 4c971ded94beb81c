// A map under a mutex; tokens for the sender.
#include "host/track/spools.h"

#include <algorithm>
#include <utility>

namespace trainhost::track {

void Spools::tell(Spool& spool, Queue& queue, Queue::Lane lane) {
  if (spool.told.exchange(true)) return;
  ++tokens;
  Record token;
  token.kind = RecordKind::spooled;
  token.run = spool.run();
  queue.push(lane, std::move(token));
}

void Spools::add(std::shared_ptr<Spool> spool) {
  std::lock_guard lock(mutex_);
  auto& place = by_run_[spool->run()];
  place = std::move(spool);
}

std::shared_ptr<Spool> Spools::find(const std::string& run) const {
  std::lock_guard lock(mutex_);
  const auto found = by_run_.find(run);
  return found == by_run_.end() ? nullptr : found->second;
}

void Spools::drop(const Spool& spool) {
  std::shared_ptr<Spool> gone;
  std::lock_guard lock(mutex_);
  if (const auto found = by_run_.find(spool.run()); found != by_run_.end() && found->second.get() == &spool) {
    gone = std::move(found->second);
    by_run_.erase(found);
  }
}

bool Spools::has_room(uint64_t bytes) const {
  std::lock_guard lock(mutex_);
  return !staged_ || staged_ + bytes <= room_;
}

void Spools::stage(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  staged_ += bytes;
}

void Spools::unstage(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  staged_ -= std::min(staged_, bytes);
}

uint64_t Spools::waiting() const {
  std::lock_guard lock(mutex_);
  uint64_t count = 0;
  for (const auto& [run, spool] : by_run_) count += spool->waiting();
  return count;
}

uint64_t Spools::held() const {
  std::lock_guard lock(mutex_);
  uint64_t count = 0;
  for (const auto& [run, spool] : by_run_)
    if (spool->held) count += spool->waiting();
  return count;
}

}  // namespace trainhost::track
