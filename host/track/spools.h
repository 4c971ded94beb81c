// The spools of a queue, by run.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host/track/queue.h"
#include "host/track/spool.h"

namespace trainhost::track {

class Spools {
 public:
  void add(std::shared_ptr<Spool> spool);
  std::shared_ptr<Spool> find(const std::string& run) const;
  // Of this one, not of a newer one of the same run.
  void drop(const Spool& spool);
  // Has the sender read the spool, unless it has been told already.
  void tell(Spool& spool, Queue& queue, Queue::Lane lane);
  uint64_t waiting() const;
  // Of these: those that stay on disk for another process.
  uint64_t held() const;
  std::atomic<uint64_t> tokens{0};  // in the queue

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Spool>> by_run_;
};

}  // namespace trainhost::track
