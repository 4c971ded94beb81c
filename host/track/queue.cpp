// The sender thread: batches, retries, back-pressure, the drain at the end.
#include "host/track/queue.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/thread.h"

namespace trainhost::track {
namespace {

using Clock = std::chrono::steady_clock;

// Note [A full queue]
// Records wait in memory, 64 MiB of them (some 300,000 metrics), while the store is slower than the script or fails.
// Past that a call waits for room, two seconds at most: slowing a script that logs faster than a disk can store is
// better than losing what it logs. If there is still no room the store hangs or fails, and waiting on would stop the
// training: from then on metrics and artifact texts are dropped and counted, without waiting, until there is room
// again; one report says so, another says how many. (Events of TensorBoard files are as metrics.) Params, tags, starts
// and ends of runs and files (staged on disk already) are few and small and are kept up to twice the bound.
bool may_drop(RecordKind kind) {
  return kind == RecordKind::metric || kind == RecordKind::text || kind == RecordKind::event;
}

}  // namespace

struct Queue::Core {
  struct LaneState {
    std::shared_ptr<Sink> sink;
    std::deque<Record> incoming;  // filled by push
    uint64_t pushed = 0;          // records ever pushed
    uint64_t done = 0;            // records ever stored or set aside
    uint64_t flush_wanted = 0;    // flush the sink once this many are done
    uint64_t flushed = 0;         // records that were done at the last flush of the sink
    bool released = false;        // nothing more comes; the sink goes when all is done
    bool is_done() const { return done == pushed && flushed >= flush_wanted; }
    // The sender's own, not under the mutex.
    std::deque<Record> pending;
    Clock::time_point next_try{};
    std::chrono::milliseconds pause{0};
    bool failing = false;
  };

  Core(QueueOptions given, Report to) : options(given), report(std::move(to)) {}

  QueueOptions options;
  Report report;
  mutable std::mutex mutex;
  std::condition_variable wake;  // to the sender
  std::condition_variable done;  // from the sender
  std::deque<LaneState> lanes;   // a deque: references stay valid
  size_t bytes = 0;
  uint64_t dropped = 0;
  bool idle = false;      // the sender sleeps with nothing to do
  bool urgent = false;    // somebody waits for the sender
  bool stopping = false;  // drain, then end
  bool finished = false;  // the thread has ended
  bool started = false;
  bool refused = false;  // the system gave no thread; reported
  Clock::time_point deadline = Clock::time_point::max();
  std::thread thread;

  bool start(std::shared_ptr<Core> self);
  void run();
  bool gather();
  bool send(LaneState& lane);
  void write_once(LaneState& lane);
  void retry_later(LaneState& lane, const std::string& why);
  void let_go(LaneState& lane);
  Clock::time_point next_event() const;
  bool drained() const;
  bool is_stopping() const {
    std::lock_guard lock(mutex);
    return stopping;
  }
  bool is_late() const {
    std::lock_guard lock(mutex);
    return stopping && Clock::now() >= deadline;
  }
};

// Under the mutex. False: the system has no thread for us now; the next record or flush tries again.
bool Queue::Core::start(std::shared_ptr<Core> self) {
  try {
    thread = start_thread("trainhost-track", [self = std::move(self)] { self->run(); });
    return started = true;
  } catch (const std::system_error&) {
    return false;
  }
}

// When the sender has to wake without being told to.
Clock::time_point Queue::Core::next_event() const {
  Clock::time_point next = Clock::time_point::max();
  for (const LaneState& lane : lanes)
    if (!lane.pending.empty() || lane.flush_wanted > lane.flushed) next = std::min(next, lane.next_try);
  return next;
}

bool Queue::Core::drained() const {
  return std::all_of(lanes.begin(), lanes.end(), [](const LaneState& l) { return l.is_done(); });
}

// Waits for something to do and takes it out of the lanes. False: the thread should end.
bool Queue::Core::gather() {
  std::unique_lock lock(mutex);
  const auto work = [this] {
    if (stopping || urgent) return true;
    return std::any_of(lanes.begin(), lanes.end(), [](const LaneState& l) { return !l.incoming.empty(); });
  };
  if (!work()) {
    idle = true;
    const auto next = next_event();
    if (next == Clock::time_point::max()) wake.wait(lock, work);
    else wake.wait_until(lock, next, work);
    idle = false;
  }
  if (!stopping && !urgent) wake.wait_for(lock, options.linger, [this] { return stopping || urgent; });
  urgent = false;
  if (stopping && (drained() || Clock::now() >= deadline)) return false;
  for (LaneState& lane : lanes) {
    if (lane.pending.empty()) {
      lane.pending.swap(lane.incoming);
    } else {
      for (Record& record : lane.incoming) lane.pending.push_back(std::move(record));
      lane.incoming.clear();
    }
  }
  return true;
}

void Queue::Core::run() {
  while (gather()) {
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
      }
      progress |= send(*lane);
      let_go(*lane);
    }
    if (!progress) {
      // Every lane waits for its next try: do not spin while somebody flushes or the end is near.
      std::unique_lock lock(mutex);
      if (stopping || urgent) done.wait_for(lock, std::chrono::milliseconds(20));
    }
  }
  std::lock_guard lock(mutex);
  finished = true;
  done.notify_all();
}

// Writes what one lane holds; true if anything came of it.
bool Queue::Core::send(LaneState& lane) {
  const auto now = Clock::now();
  if (is_stopping()) lane.next_try = std::min(lane.next_try, now + options.first_pause);
  if (lane.next_try > now) return false;
  bool progress = false;
  try {
    while (!lane.pending.empty() && !is_late()) {
      write_once(lane);
      progress = true;
    }
    uint64_t wanted, reached;
    {
      std::lock_guard lock(mutex);
      wanted = lane.flush_wanted > lane.flushed && lane.done >= lane.flush_wanted ? lane.flush_wanted : 0;
      reached = lane.done;
    }
    if (wanted) {
      lane.sink->flush();
      progress = true;
      std::lock_guard lock(mutex);
      lane.flushed = reached;
      done.notify_all();
    }
  } catch (const std::exception& e) {
    retry_later(lane, e.what());
  }
  return progress;
}

// One batch. Throws what the sink throws.
void Queue::Core::write_once(LaneState& lane) {
  std::vector<Record> batch;
  const size_t size = std::min(options.batch, lane.pending.size());
  batch.reserve(size);
  for (size_t i = 0; i < size; ++i) batch.push_back(std::move(lane.pending[i]));
  size_t stored = 0;
  std::exception_ptr failure;
  try {
    stored = std::min(lane.sink->write(batch, report), size);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  for (size_t i = stored; i < size; ++i) lane.pending[i] = std::move(batch[i]);
  size_t freed = 0;
  for (size_t i = 0; i < stored; ++i) freed += batch[i].bytes();
  lane.pending.erase(lane.pending.begin(), lane.pending.begin() + static_cast<std::ptrdiff_t>(stored));
  uint64_t lost = 0;
  {
    std::lock_guard lock(mutex);
    lane.done += stored;
    bytes -= std::min(bytes, freed);
    if (dropped && bytes < options.capacity / 2) lost = std::exchange(dropped, 0);
    done.notify_all();
  }
  if (lost)
    report({ErrorKind::tracking, "",
            options.name + ": the store works again; " + std::to_string(lost) + " " + options.droppable +
                " logged meanwhile were dropped",
            ""});
  if (failure) std::rethrow_exception(failure);
  if (stored == 0) throw Error(ErrorKind::internal, "the sink stored nothing and gave no reason");
  if (lane.failing) {
    lane.failing = false;
    lane.pause = std::chrono::milliseconds(0);
    if (!lost) report({ErrorKind::tracking, "", options.name + ": the store works again, nothing was lost", ""});
  }
}

// Drops the sink of a lane that is released and done, outside the mutex: it may close a file.
void Queue::Core::let_go(LaneState& lane) {
  std::shared_ptr<Sink> gone;
  std::lock_guard lock(mutex);
  if (lane.released && lane.is_done()) gone = std::move(lane.sink);
}

void Queue::Core::retry_later(LaneState& lane, const std::string& why) {
  lane.pause = lane.pause.count() ? std::min(lane.pause * 2, options.most_pause) : options.first_pause;
  lane.next_try = Clock::now() + lane.pause;
  if (std::exchange(lane.failing, true)) return;  // one report for each outage
  report({ErrorKind::tracking, "",
          why + "; " + std::to_string(lane.pending.size()) + " records wait and are tried again until they are stored",
          "training goes on"});
}

Queue::Queue(QueueOptions options, Report report) : core_(std::make_shared<Core>(options, std::move(report))) {}

Queue::~Queue() { close(std::chrono::seconds(30)); }

Queue::Lane Queue::add(std::shared_ptr<Sink> sink) {
  std::lock_guard lock(core_->mutex);
  for (Lane i = 0; i < core_->lanes.size(); ++i) {
    auto& lane = core_->lanes[i];
    if (!lane.released || lane.sink) continue;
    lane.released = false;
    lane.sink = std::move(sink);
    return i;
  }
  core_->lanes.emplace_back().sink = std::move(sink);
  return core_->lanes.size() - 1;
}

void Queue::release(Lane index) {
  std::shared_ptr<Sink> gone;
  std::lock_guard lock(core_->mutex);
  auto& lane = core_->lanes[index];
  lane.released = true;
  if (lane.is_done()) gone = std::move(lane.sink);
}

void Queue::push(Lane index, Record record) {
  Core& core = *core_;
  const size_t cost = record.bytes();
  bool first_loss = false, first_refusal = false;
  {
    std::unique_lock lock(core.mutex);
    if (core.stopping) return;
    bool keep = true;
    if (core.bytes + cost > core.options.capacity) {
      const size_t room = may_drop(record.kind) ? core.options.capacity : core.options.capacity * 2;
      const auto fits = [&] { return core.stopping || core.bytes + cost <= room || core.bytes == 0; };
      if (!fits() && core.dropped == 0) {
        core.urgent = true;
        core.wake.notify_one();
        core.done.wait_for(lock, core.options.patience, fits);
      }
      if (core.stopping) return;
      keep = fits();
      if (!keep) first_loss = core.dropped++ == 0;
    }
    if (keep) {
      auto& lane = core.lanes[index];
      lane.incoming.push_back(std::move(record));
      ++lane.pushed;
      core.bytes += cost;
      if (!core.started) first_refusal = !core.start(core_) && !std::exchange(core.refused, true);
      else if (core.idle) core.wake.notify_one();
    }
  }
  if (first_refusal)
    core.report({ErrorKind::tracking, "",
                 core.options.name +
                     ": the system refuses the thread that stores what is logged: it waits in memory, and is stored "
                     "at the end at the latest",
                 "training goes on"});
  if (first_loss)
    core.report({ErrorKind::tracking, "",
                 core.options.name + ": the store has not kept up and the queue of " +
                     std::to_string(core.options.capacity >> 20) + " MiB is full: " + core.options.droppable +
                     " are dropped until there is room",
                 "training goes on"});
}

bool Queue::flush(std::chrono::milliseconds limit, std::optional<Lane> only) {
  Core& core = *core_;
  std::unique_lock lock(core.mutex);
  std::vector<std::pair<Lane, uint64_t>> targets;
  for (Lane i = 0; i < core.lanes.size(); ++i) {
    auto& lane = core.lanes[i];
    if (lane.pushed == 0 || (only && *only != i)) continue;
    lane.flush_wanted = std::max(lane.flush_wanted, lane.pushed);
    targets.emplace_back(i, lane.pushed);
  }
  const auto flushed = [&] {
    for (const auto& [i, target] : targets)
      if (core.lanes[i].flushed < target && !(core.finished && core.lanes[i].done >= target)) return false;
    return true;
  };
  if (flushed()) return true;
  if (!core.started && !core.start(core_)) return false;
  core.urgent = true;
  core.wake.notify_one();
  core.done.wait_for(lock, limit, [&] { return core.finished || flushed(); });
  return flushed();
}

size_t Queue::close(std::chrono::milliseconds limit) {
  Core& core = *core_;
  std::thread thread;
  {
    std::unique_lock lock(core.mutex);
    if (!core.stopping) {
      core.stopping = true;
      core.deadline = Clock::now() + limit;
      for (auto& lane : core.lanes)
        if (lane.sink) lane.sink->hurry();
      core.wake.notify_one();
      // Without a thread of its own the queue drains here.
      if (!core.started && !core.drained()) {
        lock.unlock();
        core.run();
        lock.lock();
      }
    }
    if (core.started) {
      // A sink that is stuck in the operating system cannot be ended: it is left behind with its share of the core.
      core.done.wait_for(lock, limit + std::chrono::seconds(2), [&] { return core.finished; });
      thread = std::move(core.thread);
      if (!core.finished && thread.joinable()) thread.detach();
    }
  }
  if (thread.joinable()) thread.join();
  std::lock_guard lock(core.mutex);
  size_t left = 0;
  for (const auto& lane : core.lanes) left += lane.pushed - lane.done;
  return left;
}

size_t Queue::waiting() const {
  std::lock_guard lock(core_->mutex);
  size_t left = 0;
  for (const auto& lane : core_->lanes) left += lane.pushed - lane.done;
  return left;
}

}  // namespace trainhost::track
