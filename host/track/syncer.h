// The thread that makes what is spooled survive a power cut.
#pragma once

#include <memory>

#include "host/track/spool.h"

namespace trainhost::track {

// Neither the thread that logs nor a sender, which a store may hold up, waits for the disk: a thread of its own syncs
// every spool in which something is new, twice a second. Any thread.
class Syncer {
 public:
  Syncer();
  // stop()
  ~Syncer();
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  // From now on, for as long as anybody holds the spool.
  void add(const std::shared_ptr<Spool>& spool);
  // Syncs once more what is left, and lets the thread go; waits a second at most for a disk that hangs.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace trainhost::track
