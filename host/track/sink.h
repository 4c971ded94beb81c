// Where records go: a class with `write` and `flush` for each kind of store.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>

#include "host/base/bound.h"
#include "host/track/record.h"

namespace trainhost::track {

using Report = std::function<void(Event)>;

// Called from the queue's sender thread alone, never by two threads at once.
class Sink {
 public:
  virtual ~Sink() = default;

  // Stores records from the front of `records`, in order, and returns how many of them are done with: stored, or
  // set aside with a report because they can never be stored; 0: only a part of what the first one stands for. Throws
  // if the first of them cannot be stored now (locked, full, unreachable): the queue calls again later with the same
  // records, so storing must be repeatable.
  virtual size_t write(std::span<const Record> records, const Report& report) = 0;
  // Makes all that was written survive a power cut.
  virtual void flush() = 0;
  // Does something that is stored wait for a flush, to be let go where it came from?
  virtual bool wants_flush() const { return false; }
  // Does it take nothing of a run from this process (its user may not, its experiment is gone)? Then what is spooled of
  // it stays there.
  virtual bool holds(const std::string& /*run*/) const { return false; }
  // The spool of a run is gone: what is kept of its position may go too.
  virtual void forget(const std::string& /*run*/) {}
  // After `write` has thrown: when it is to be called again, where it knows better than the queue.
  virtual std::optional<std::chrono::steady_clock::time_point> not_before() const { return std::nullopt; }
  // How many logged things they stand for, as messages have it.
  virtual size_t count(std::span<const Record> records) const { return records.size(); }
  // Where it stores, as messages have it: a path, an address without secrets. Any thread.
  virtual std::string name() const { return {}; }
  // Asked in long calls of `write` when they must be over, and told what moves of a file. Once, before the first call.
  virtual void set_bound(Bound /*bound*/) {}
  // From any thread: the process ends; waits inside `write` and `flush` should be short from now on.
  virtual void hurry() noexcept {}
  // Is every call over at the time that the bound says, whatever the system does?
  virtual bool is_bounded() const noexcept { return false; }
};

}  // namespace trainhost::track
