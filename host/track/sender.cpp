// The sender thread: when it wakes, its rounds, the drain at the end.
#include "host/track/sender.h"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "host/base/thread.h"

namespace trainhost::track {
namespace {

using namespace std::chrono_literals;

// Note [Waking the sender]
// To wake a sleeping thread costs the one that logs 5 to 50 us, a hundred times the price of the record. So the thread
// wakes by itself, every 20 ms, for as long as something was logged in the last seconds; a call has to wake it only
// after a longer pause.
constexpr auto kAwake = 5s;

// A call of a sink that lasts longer is one that the system holds: the end of the process does not wait for it again.
constexpr auto kStuck = 10s;

// Records that a lane keeps room for.
constexpr size_t kRoom = 4096;

}  // namespace

std::shared_ptr<Sender> Sender::shared() {
  static std::mutex guard;
  static std::weak_ptr<Sender> current;
  std::lock_guard lock(guard);
  if (auto sender = current.lock()) {
    std::lock_guard inner(sender->mutex);
    if (!sender->stopping_) return sender;
  }
  auto sender = std::make_shared<Sender>(QueueOptions().linger, End::of_process());
  current = sender;
  return sender;
}

bool Sender::join() {
  std::lock_guard lock(mutex);
  if (stopping_) return false;
  ++queues_;
  return true;
}

bool Sender::start() {
  if (started_) return true;
  try {
    thread_ = start_thread("trainhost-track", [self = shared_from_this()] { self->run(); });
    return started_ = true;
  } catch (const std::system_error&) {
    return false;
  }
}

Sender::Clock::time_point Sender::end_by() { return is_stuck(kStuck) ? Clock::now() : end_->by(); }

bool Sender::drained(const Share& share) const {
  return std::all_of(lanes.begin(), lanes.end(),
                     [&](const LaneState& l) { return l.share.get() != &share || l.is_done(); });
}

void Sender::leave(Share& share, std::chrono::milliseconds limit) {
  std::thread thread;
  {
    std::unique_lock lock(mutex);
    if (share.closed) return;
    share.closed = true;
    const auto now = Clock::now(), end = std::min(end_by(), now + limit);
    const auto left = end - now;
    share.deadline = end - std::max<Clock::duration>(left / 20, std::min<Clock::duration>(left / 4, 200ms));
    share.granted = end_->granted();
    for (LaneState& lane : lanes) {
      if (lane.share.get() != &share || !lane.sink) continue;
      lane.released = true;
      lane.sink->hurry();
    }
    const bool last = --queues_ == 0;
    stopping_ = last;
    urgent = true;
    wake_.notify_one();
    if (!started_ && !drained(share) && !start()) drain_here(share, lock);
    if (!started_) return;
    const auto over = [&] { return finished_ || (!last && drained(share)); };
    const auto until = [&] { return end + (end_->granted() - share.granted); };
    while (!over() && Clock::now() < until()) done.wait_until(lock, until(), over);
    if (!last) return;
    // A sink that is stuck in the operating system cannot be ended: it is left behind with its share of all this.
    thread = std::move(thread_);
    if (!finished_ && thread.joinable()) thread.detach();
  }
  if (thread.joinable()) thread.join();
}

// Without a thread of its own what is logged is stored by the one that closes.
void Sender::drain_here(const Share& share, std::unique_lock<std::mutex>& lock) {
  started_ = true;
  do {
    collect();
    lock.unlock();
    if (!round()) std::this_thread::sleep_for(20ms);
    lock.lock();
  } while (!drained(share) && Clock::now() < deadline(share));
  started_ = false;
}

Bound Sender::bound(std::shared_ptr<Share> share) {
  return [weak = weak_from_this(), share = std::move(share)](const std::string& what, uint64_t bytes) {
    const auto self = weak.lock();
    if (!self) return Clock::now();
    if (bytes > 0) {
      self->end_->moved(what, bytes);
      if (self->call_began_.load() != Clock::duration::zero()) self->call_began_ = Clock::now().time_since_epoch();
    }
    std::lock_guard lock(self->mutex);
    return self->deadline(*share);
  };
}

// When nothing of the share is begun any more: what moves of a file at the end puts it off. Under the mutex.
Sender::Clock::time_point Sender::deadline(const Share& share) const {
  return share.closed ? share.deadline + (end_->granted() - share.granted) : Clock::time_point::max();
}

bool Sender::is_late(const Share& share) {
  std::lock_guard lock(mutex);
  return Clock::now() >= deadline(share);
}

// When the thread has to wake without being told to.
Sender::Clock::time_point Sender::next_event() const {
  auto next = Clock::time_point::max();
  for (const LaneState& lane : lanes)
    if (lane.sink && (!lane.is_empty() || lane.flush_wanted > lane.flushed)) next = std::min(next, lane.next_try);
  return next;
}

// Waits for something to do. False: the last queue has gone, and all is stored or it is too late.
bool Sender::gather() {
  std::unique_lock lock(mutex);
  const auto called = [this] { return stopping_ || urgent; };
  while (!called()) {
    const auto now = Clock::now(), next = next_event();
    if (next <= now) break;
    idle = !arrived && now - last_arrival_ > kAwake;
    const auto until = idle ? next : std::min(next, now + linger_);
    const auto work = [&] { return called() || (idle && arrived); };
    if (until == Clock::time_point::max()) wake_.wait(lock, work);
    else wake_.wait_until(lock, until, work);
    const bool was_idle = std::exchange(idle, false);
    if (!arrived) continue;
    if (was_idle) wake_.wait_for(lock, linger_, called);  // more will follow
    break;
  }
  if (std::exchange(arrived, false)) last_arrival_ = Clock::now();
  urgent = false;
  if (stopping_) {
    const bool over = std::all_of(lanes.begin(), lanes.end(), [this](const LaneState& lane) {
      return lane.is_done() || Clock::now() >= deadline(*lane.share);
    });
    if (over) return false;
  }
  collect();
  return true;
}

void Sender::collect() {
  for (LaneState& lane : lanes) {
    if (lane.incoming.empty()) continue;
    if (lane.is_empty()) {
      lane.pending.clear();  // keeps its room, which the next records find: logging allocates nothing for them
      lane.stored = 0;
      if (lane.pending.capacity() > kRoom) lane.pending = {};
      lane.pending.swap(lane.incoming);
    } else {
      std::move(lane.incoming.begin(), lane.incoming.end(), std::back_inserter(lane.pending));
      lane.incoming.clear();
    }
  }
}

// Every lane once; true if anything came of it.
bool Sender::round() {
  bool progress = false;
  size_t count;
  {
    std::lock_guard lock(mutex);
    count = lanes.size();
  }
  for (size_t i = 0; i < count; ++i) {
    LaneState* lane;
    {
      std::lock_guard lock(mutex);
      lane = &lanes[i];
      if (!lane->sink) continue;
    }
    progress |= send(*lane);
    let_go(*lane);
  }
  return progress;
}

void Sender::run() {
  while (gather()) {
    if (round()) continue;
    // Every lane waits for its next try: do not spin while somebody flushes or the end is near.
    std::unique_lock lock(mutex);
    if (stopping_ || urgent) done.wait_for(lock, 20ms);
  }
  for (LaneState& lane : lanes) {  // sinks are closed outside the mutex
    std::shared_ptr<Sink> gone;
    std::vector<Record> unstored;
    {
      std::lock_guard lock(mutex);
      if (!lane.sink) continue;
      gone = empty(lane, unstored);
    }
    give_up(unstored, lane.share->report);
  }
  std::lock_guard lock(mutex);
  finished_ = true;
  done.notify_all();
}

}  // namespace trainhost::track
