// What the sender thread does with one lane: writes, flushes, tries again later, lets go.
#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "host/track/artifact.h"
#include "host/track/sender.h"

namespace trainhost::track {

using namespace std::chrono_literals;

// Writes what one lane holds; true if anything came of it.
bool Sender::send(LaneState& lane) {
  const auto now = Clock::now();
  {
    std::lock_guard lock(mutex);
    if (lane.share->closed) lane.next_try = std::min(lane.next_try, now + lane.share->options.first_pause);
  }
  if (lane.next_try > now) return false;
  bool progress = false;
  const bool can_stick = !lane.sink->is_bounded();
  if (can_stick) call_began_ = now.time_since_epoch();
  try {
    while (!lane.is_empty() && !is_late(*lane.share)) {
      write_once(lane);
      progress = true;
      if (can_stick) call_began_ = Clock::now().time_since_epoch();
    }
    uint64_t wanted, reached;
    {
      std::lock_guard lock(mutex);
      if (lane.is_empty() && lane.sink->wants_flush()) lane.flush_wanted = std::max(lane.flush_wanted, lane.done);
      wanted = lane.flush_wanted > lane.flushed && lane.done >= lane.flush_wanted ? lane.flush_wanted : 0;
      reached = lane.done;
    }
    if (wanted && !is_late(*lane.share)) {
      lane.sink->flush();
      recovered(lane, true);
      progress = true;
      std::lock_guard lock(mutex);
      lane.flushed = reached;
      done.notify_all();
    }
  } catch (const std::exception& e) {
    retry_later(lane, e.what());
  }
  call_began_ = Clock::duration::zero();
  return progress;
}

// One batch. Throws what the sink throws.
void Sender::write_once(LaneState& lane) {
  Share& share = *lane.share;
  const auto batch =
      std::span(lane.pending).subspan(lane.stored, std::min(share.options.batch, lane.pending.size() - lane.stored));
  size_t stored = 0;
  std::exception_ptr failure;
  try {
    stored = std::min(lane.sink->write(batch, share.report), batch.size());
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  size_t freed = 0;
  for (Record& record : batch.first(stored)) {
    freed += record.bytes();
    record = {};
  }
  lane.stored += stored;
  uint64_t lost = 0;
  {
    std::lock_guard lock(mutex);
    lane.done += stored;
    share.bytes -= std::min(share.bytes, freed);
    if (share.dropped && share.bytes < share.options.capacity / 2) lost = std::exchange(share.dropped, 0);
    done.notify_all();
  }
  if (lost)
    share.report({ErrorKind::tracking, "",
                  share.options.name + ": the store works again; " + std::to_string(lost) + " " +
                      share.options.droppable + " logged meanwhile were dropped",
                  ""});
  if (failure) std::rethrow_exception(failure);
  recovered(lane, lost == 0);
}

void Sender::recovered(LaneState& lane, bool say) {
  lane.pause = 0ms;
  if (!std::exchange(lane.failing, false) || !say) return;
  lane.share->report(
      {ErrorKind::tracking, "", lane.share->options.name + ": the store works again, nothing was lost", ""});
}

void Sender::retry_later(LaneState& lane, const std::string& why) {
  const QueueOptions& options = lane.share->options;
  if (const auto wish = lane.sink->not_before()) {
    lane.next_try = *wish;
  } else {
    lane.pause = lane.pause.count() ? std::min(lane.pause * 2, options.most_pause) : options.first_pause;
    lane.next_try = Clock::now() + lane.pause;
  }
  if (std::exchange(lane.failing, true)) return;  // one report for each outage
  if (is_late(*lane.share)) return;               // the end reports what is left
  lane.share->report({ErrorKind::tracking, "",
                      why + "; " + std::to_string(lane.sink->count(std::span(lane.pending).subspan(lane.stored))) +
                          " records wait and are tried again until they are stored",
                      "training goes on"});
}

// Drops the sink of a lane that is released and done, or whose end has come, outside the mutex: it may close a file.
void Sender::let_go(LaneState& lane) {
  std::shared_ptr<Sink> gone;
  std::shared_ptr<Share> share;
  std::vector<Record> unstored;
  {
    std::lock_guard lock(mutex);
    if (!lane.released) return;
    const bool late = Clock::now() >= deadline(*lane.share);
    if (!lane.is_done() && !late) return;
    share = lane.share;
    gone = empty(lane, unstored);
  }
  give_up(unstored, share->report);
}

// Under the mutex: what it holds, for the caller to let go.
std::shared_ptr<Sink> Sender::empty(LaneState& lane, std::vector<Record>& unstored) {
  unstored.swap(lane.pending);
  unstored.erase(unstored.begin(), unstored.begin() + static_cast<std::ptrdiff_t>(lane.stored));
  std::move(lane.incoming.begin(), lane.incoming.end(), std::back_inserter(unstored));
  lane.stored = 0;
  lane.incoming.clear();
  lane.pause = 0ms;
  lane.next_try = {};
  lane.failing = false;
  return std::move(lane.sink);
}

// Of records that are lost with the process, the copies of files: nobody would find them again.
void Sender::give_up(const std::vector<Record>& records, const Report& report) {
  for (const Record& record : records)
    if (record.kind == RecordKind::file && remove_staged(record.value))
      report({ErrorKind::io, record.run,
              "mlflow: the artifact '" + record.key + "' ('" + record.extra + "') of run " + record.run +
                  " could not be stored before the process ended; its copy is removed",
              ""});
}

}  // namespace trainhost::track
