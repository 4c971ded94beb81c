// Looks after what a client has asked for while it is done: the client may take it back, or it takes too long.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace trainhost::serve {

class Door;

// `stop` is called once, from a thread of its own: when the client takes back what it asked, when `seconds` are over
// (0: no limit), or when there is no limit and the client has gone. The door must not be used meanwhile.
class Watch {
 public:
  enum class Reason { none, asked, time, gone };
  Watch(const Door& door, double seconds, std::function<void()> stop);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  Reason reason() const { return reason_; }

 private:
  void run(int client, double seconds, const std::function<void()>& stop);

  std::atomic<Reason> reason_{Reason::none};
  int done_ = -1;  // an eventfd
  std::thread thread_;
};

}  // namespace trainhost::serve
