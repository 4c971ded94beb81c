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
  // `room`: bytes of files that may wait to be sent.
  explicit Spools(uint64_t room = uint64_t{16} << 30) : room_(room) {}
  void add(std::shared_ptr<Spool> spool);
  std::shared_ptr<Spool> find(const std::string& run) const;
  // Of this one, not of a newer one of the same run.
  void drop(const Spool& spool);
  // Has the sender read the spool, unless it has been told already.
  void tell(Spool& spool, Queue& queue, Queue::Lane lane);
  uint64_t waiting() const;
  // Of these: those that stay on disk for another process.
  uint64_t held() const;
  // Is there room for one more file of that size? For one there always is.
  bool has_room(uint64_t bytes) const;
  // Files that wait, and those that do no more.
  void stage(uint64_t bytes);
  void unstage(uint64_t bytes);
  std::atomic<uint64_t> tokens{0};  // in the queue

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Spool>> by_run_;
  const uint64_t room_;
  uint64_t staged_ = 0;  // bytes
};

}  // namespace trainhost::track
