// Records on their way to the sender thread: back-pressure, waiting, the end.
#include "host/track/queue.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "host/track/sender.h"

namespace trainhost::track {
namespace {

using Clock = Sender::Clock;

// Note [A full queue]
// Records wait in memory, 64 MiB of them (some 300,000 metrics) for each queue, while the store is slower than the
// script or fails. Past that a call waits for room, two seconds at most: slowing a script that logs faster than a disk
// can store is better than losing what it logs. If there is still no room the store hangs or fails, and waiting on
// would stop the training: from then on metrics and artifact texts are dropped and counted, without waiting, until
// there is room again; one report says so, another says how many. (Events of TensorBoard files are as metrics.) Params,
// tags, starts and ends of runs and files (staged on disk already) are few and small and are kept up to twice the
// bound.
bool may_drop(RecordKind kind) {
  return kind == RecordKind::metric || kind == RecordKind::text || kind == RecordKind::event;
}

}  // namespace

Queue::Queue(QueueOptions options, Report report)
    : Queue(options, std::move(report), std::make_shared<Sender>(options.linger)) {}

Queue::Queue(QueueOptions options, Report report, std::shared_ptr<Sender> sender)
    : sender_(std::move(sender)), share_(std::make_shared<Share>(std::move(options), std::move(report))) {
  while (!sender_->join()) sender_ = Sender::shared();
}

Queue::~Queue() { close(std::chrono::seconds(30)); }

Queue::Lane Queue::add(std::shared_ptr<Sink> sink) {
  sink->set_bound(sender_->bound(share_));
  std::lock_guard lock(sender_->mutex);
  auto& lanes = sender_->lanes;
  Lane index = 0;
  while (index < lanes.size() && lanes[index].sink) ++index;
  auto& lane = index < lanes.size() ? lanes[index] : lanes.emplace_back();
  lane.share = share_;
  lane.place = sink->name();
  lane.sink = std::move(sink);
  lane.released = false;
  lane.done = lane.flush_wanted = lane.flushed = lane.pushed;
  return index;
}

void Queue::release(Lane index) {
  bool asleep;
  {
    std::lock_guard lock(sender_->mutex);
    auto& lane = sender_->lanes[index];
    if (lane.share != share_) return;
    lane.released = true;
    lane.flush_wanted = std::max(lane.flush_wanted, lane.pushed);
    sender_->arrived = true;
    asleep = sender_->idle;
    sender_->start();
  }
  if (asleep) sender_->wake();
}

void Queue::push(Lane index, Record record) {
  Sender& sender = *sender_;
  Share& share = *share_;
  const QueueOptions& options = share.options;
  const size_t cost = record.bytes();
  bool first_loss = false, first_refusal = false, asleep = false;
  {
    std::unique_lock lock(sender.mutex);
    if (share.closed) return;
    bool keep = true;
    if (share.bytes + cost > options.capacity) {
      const size_t room = may_drop(record.kind) ? options.capacity : options.capacity * 2;
      const auto fits = [&] { return share.closed || share.bytes + cost <= room || share.bytes == 0; };
      if (!fits() && share.dropped == 0) {
        sender.urgent = true;
        sender.wake();
        sender.done.wait_for(lock, options.patience, fits);
      }
      if (share.closed) return;
      keep = fits();
      if (!keep) first_loss = share.dropped++ == 0;
    }
    if (keep) {
      auto& lane = sender.lanes[index];
      lane.incoming.push_back(std::move(record));
      ++lane.pushed;
      share.bytes += cost;
      sender.arrived = true;
      asleep = sender.idle;
      if (!sender.start()) first_refusal = !std::exchange(share.refused, true);
    }
  }
  if (asleep) sender.wake();
  if (first_refusal)
    share.report({ErrorKind::tracking, "",
                  options.name +
                      ": the system refuses the thread that stores what is logged: it waits in memory, and is stored "
                      "at the end at the latest",
                  "training goes on"});
  if (first_loss)
    share.report({ErrorKind::tracking, "",
                  options.name + ": the store has not kept up and the queue of " +
                      std::to_string(options.capacity >> 20) + " MiB is full: " + options.droppable +
                      " are dropped until there is room",
                  "training goes on"});
}

bool Queue::flush(std::chrono::milliseconds limit, std::optional<Lane> only) {
  Sender& sender = *sender_;
  std::unique_lock lock(sender.mutex);
  struct Target {
    Lane lane;
    const Sink* sink;
    uint64_t records;
  };
  std::vector<Target> targets;
  for (Lane i = 0; i < sender.lanes.size(); ++i) {
    auto& lane = sender.lanes[i];
    if (lane.share != share_ || !lane.sink || lane.pushed == 0 || (only && *only != i)) continue;
    lane.flush_wanted = std::max(lane.flush_wanted, lane.pushed);
    targets.push_back({i, lane.sink.get(), lane.pushed});
  }
  const auto flushed = [&] {
    return std::all_of(targets.begin(), targets.end(), [&](const Target& target) {
      const auto& lane = sender.lanes[target.lane];
      return lane.sink.get() != target.sink || lane.flushed >= target.records;
    });
  };
  const auto over = [&] {
    return std::all_of(sender.lanes.begin(), sender.lanes.end(),
                       [&](const Sender::LaneState& lane) { return lane.share != share_ || lane.pushed == lane.done; });
  };
  if (share_->closed) return over();
  if (flushed()) return true;
  if (!sender.start()) return false;
  sender.urgent = true;
  sender.wake();
  sender.done.wait_for(lock, limit, [&] { return share_->closed || flushed(); });
  return share_->closed ? over() : flushed();
}

bool Queue::is_stuck(std::chrono::milliseconds since) const { return sender_->is_stuck(since); }

std::chrono::milliseconds Queue::left_of_end() {
  std::lock_guard lock(sender_->mutex);
  const auto left = sender_->end_by() - Clock::now();
  return std::max(std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(left));
}

size_t Queue::close(std::chrono::milliseconds limit) {
  sender_->leave(*share_, limit);
  return waiting();
}

size_t Queue::waiting() const {
  std::lock_guard lock(sender_->mutex);
  size_t left = 0;
  for (const auto& lane : sender_->lanes)
    if (lane.share == share_) left += lane.pushed - lane.done;
  return left;
}

std::string Queue::waiting_for() const {
  constexpr size_t kNamed = 3;
  std::vector<std::string> names;
  size_t more = 0;
  {
    std::lock_guard lock(sender_->mutex);
    for (const auto& lane : sender_->lanes) {
      if (lane.share != share_ || lane.pushed == lane.done) continue;
      if (names.size() == kNamed) ++more;
      else if (!lane.place.empty()) names.push_back("'" + lane.place + "'");
    }
  }
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() && !more ? " and " : ", ";
    text += names[i];
  }
  return more ? text + " and " + std::to_string(more) + " more" : text;
}

}  // namespace trainhost::track
