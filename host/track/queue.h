// The queue between the threads that log and the one thread that stores.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "host/track/sink.h"

namespace trainhost::track {

struct QueueOptions {
  // What reports begin with, and what they call that which may be dropped.
  std::string name = "mlflow", droppable = "metrics or texts";
  // Bytes of records that may wait. See Note [A full queue] in queue.cpp.
  size_t capacity = size_t{64} << 20;
  // How long one call may wait for room before metrics and artifact texts are dropped instead.
  std::chrono::milliseconds patience{2000};
  // How long records gather before they are stored in one transaction; `flush` and the end cut it short.
  std::chrono::milliseconds linger{20};
  // The pause after a failed write doubles from here up to `most_pause`.
  std::chrono::milliseconds first_pause{100}, most_pause{5000};
  // Records given to a sink at once.
  size_t batch = 1000;
};

// Owns the sender thread: one, started with the first record, all signals blocked. Every method may be called from any
// thread.
class Queue {
 public:
  using Lane = size_t;

  // `report` is called from the sender thread, or from a thread in `push` that found the queue full.
  Queue(QueueOptions options, Report report);
  // close() with half a minute.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Records pushed to the lane that is returned are written to `sink` in the order of the pushes. A failing sink holds
  // up its own lane only.
  Lane add(std::shared_ptr<Sink> sink);
  // Nothing more will be pushed to the lane: its sink is let go when what it holds is stored. `add` takes the lane
  // again.
  void release(Lane lane);
  // Hands the record over and returns in microseconds; waits only if the queue is full.
  void push(Lane lane, Record record);
  // Waits until all that was pushed before the call, in one lane or in all, is stored and flushed by its sink. False:
  // not within `limit`.
  bool flush(std::chrono::milliseconds limit, std::optional<Lane> only = std::nullopt);
  // Stores what waits, for `limit` at most, and ends the thread; returns how many records were left unstored. Records
  // pushed later are dropped.
  size_t close(std::chrono::milliseconds limit);

  // Records that wait, in all lanes.
  size_t waiting() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;  // shared with the thread, which may outlive a close that timed out
};

}  // namespace trainhost::track
