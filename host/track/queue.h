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

class Sender;

// A share of a sender thread: one thread calls the sinks of all files of a process, one those of each server. Every
// method may be called from any thread.
class Queue {
 public:
  using Lane = size_t;

  // A queue with a thread of its own, started with the first record. `report` is called from the sender thread, or from
  // a thread in `push` that found the queue full.
  Queue(QueueOptions options, Report report);
  // One that shares a thread: Sender::shared().
  Queue(QueueOptions options, Report report, std::shared_ptr<Sender> sender);
  // close() with half a minute.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Records pushed to the lane that is returned are written to `sink` in the order of the pushes. A failing sink holds
  // up its own lane only; one whose call does not return holds up all.
  Lane add(std::shared_ptr<Sink> sink);
  // Nothing more will be pushed to the lane: when what it holds is stored and flushed the thread lets its sink go.
  // `add` takes the lane again.
  void release(Lane lane);
  // Hands the record over and returns in microseconds; waits only if the queue is full.
  void push(Lane lane, Record record);
  // Waits until all that was pushed before the call, in one lane or in all, is stored and flushed by its sink. False:
  // not within `limit`.
  bool flush(std::chrono::milliseconds limit, std::optional<Lane> only = std::nullopt);
  // Is the sender in one call of a sink, of whatever queue, since so long?
  bool is_stuck(std::chrono::milliseconds since) const;
  // What is left of the ten seconds that the end of a process may take, all its waits together; the first call begins
  // it.
  std::chrono::milliseconds left_of_end();
  // Stores what waits, for `limit` and what is left of the end at most, and lets the thread go; returns how many
  // records were left unstored. Records pushed later are dropped.
  size_t close(std::chrono::milliseconds limit);

  // Records that wait, in all lanes.
  size_t waiting() const;
  // The places that they wait for, "'a.db' and 'b'"; empty if no sink names one.
  std::string waiting_for() const;

 private:
  friend class Sender;
  struct Share;
  std::shared_ptr<Sender> sender_;
  std::shared_ptr<Share> share_;
};

}  // namespace trainhost::track
