// The thread that calls sinks, and the lanes of the queues it serves.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/track/end.h"
#include "host/track/queue.h"

namespace trainhost::track {

// What one queue has in it.
struct Queue::Share {
  Share(QueueOptions given, Report to) : options(std::move(given)), report(std::move(to)) {}
  const QueueOptions options;
  const Report report;
  size_t bytes = 0;      // of records that wait
  uint64_t dropped = 0;  // since the last report of it
  bool closed = false;   // takes no more records
  bool refused = false;  // the system gave no thread; reported
  std::chrono::steady_clock::time_point deadline =
      std::chrono::steady_clock::time_point::max();  // see Sender::deadline
  std::chrono::steady_clock::duration granted{};     // of the end, when the deadline was set
};

// Shared by the queues and the thread, which may outlive a close that timed out. Queue is its interface: all members
// are under the mutex unless they say otherwise.
class Sender : public std::enable_shared_from_this<Sender> {
 public:
  using Clock = std::chrono::steady_clock;
  using Lane = Queue::Lane;

  using Share = Queue::Share;

  struct LaneState {
    std::shared_ptr<Share> share;
    std::shared_ptr<Sink> sink;    // null: the lane is free
    std::string place;             // name() of the sink
    std::vector<Record> incoming;  // filled by push
    uint64_t pushed = 0;           // records ever pushed
    uint64_t done = 0;             // records ever stored or set aside
    uint64_t flush_wanted = 0;     // flush the sink once this many are done
    uint64_t flushed = 0;          // records that were done at the last flush of the sink
    bool released = false;         // nothing more comes; the sink goes when all is done
    bool is_done() const { return done == pushed && flushed >= flush_wanted; }
    // The thread's own, not under the mutex.
    std::vector<Record> pending;
    size_t stored = 0;  // of these, from the front
    bool is_empty() const { return stored == pending.size(); }
    Clock::time_point next_try{};
    std::chrono::milliseconds pause{0};
    bool failing = false;
  };

  explicit Sender(std::chrono::milliseconds linger, std::shared_ptr<End> end = std::make_shared<End>())
      : linger_(linger), end_(std::move(end)) {}
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // The one of all files of this process, made when first asked for; a new one when the last has ended with its last
  // queue.
  static std::shared_ptr<Sender> shared();

  // One more queue. False: the thread ends, another one is needed.
  bool join();
  // Closes the share: stores what it holds, for `limit` at most; the last one ends the thread.
  void leave(Share& share, std::chrono::milliseconds limit);
  // Starts the thread if there is none; under the mutex. False: the system has none for us now.
  bool start();
  // Wakes the thread; without a lock, which it would wait for.
  void wake() { wake_.notify_one(); }
  // When the end that has begun, or begins now, must be over; under the mutex.
  Clock::time_point end_by();
  const std::shared_ptr<End>& end() const { return end_; }
  // Is the thread in one call of a sink since so long, and nothing can end it?
  bool is_stuck(std::chrono::milliseconds since) const {
    const auto began = call_began_.load(std::memory_order_relaxed);
    return began != Clock::duration::zero() && Clock::now().time_since_epoch() - began >= since;
  }
  bool drained(const Share& share) const;
  // For the sinks of a share.
  Bound bound(std::shared_ptr<Share> share);

  std::mutex mutex;
  std::condition_variable done;  // from the thread: records are done with
  std::deque<LaneState> lanes;   // a deque: references stay valid
  bool idle = false;             // the thread sleeps until it is woken
  bool urgent = false;           // somebody waits for the thread
  bool arrived = false;          // records were pushed since the thread looked

 private:
  void run();
  bool gather();
  void collect();
  bool round();
  bool send(LaneState& lane);
  void write_once(LaneState& lane);
  void recovered(LaneState& lane, bool say);
  void retry_later(LaneState& lane, const std::string& why);
  void let_go(LaneState& lane);
  static void give_up(const std::vector<Record>& records, const Report& report);
  std::shared_ptr<Sink> empty(LaneState& lane, std::vector<Record>& unstored);
  void drain_here(const Share& share, std::unique_lock<std::mutex>& lock);
  Clock::time_point next_event() const;
  Clock::time_point deadline(const Share& share) const;
  bool is_late(const Share& share);

  const std::chrono::milliseconds linger_;
  const std::shared_ptr<End> end_;
  std::condition_variable wake_;
  size_t queues_ = 0;
  bool started_ = false, stopping_ = false, finished_ = false;
  Clock::time_point last_arrival_{};
  std::atomic<Clock::duration> call_began_{Clock::duration::zero()};
  std::thread thread_;
};

}  // namespace trainhost::track
