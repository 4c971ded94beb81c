// Looks after what a client has asked for while it is done.
#include "host/serve/watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "host/base/error.h"
#include "host/base/thread.h"
#include "host/serve/door.h"

namespace trainhost::serve {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kMillisecondsBetweenLooks = 50;

// What waits to be read may be the next request: it is looked at and stays there.
bool takes_back(int client) {
  static thread_local char block[65536];
  const ssize_t count = ::recv(client, block, sizeof block, MSG_PEEK | MSG_DONTWAIT);
  return count > 0 && std::memchr(block, Door::kTakeBack, static_cast<size_t>(count)) != nullptr;
}

}  // namespace

Watch::Watch(const Door& door, double seconds, std::function<void()> stop) {
  if (door.taken_back()) {
    reason_ = Reason::asked;
    stop();
    return;
  }
  done_ = ::eventfd(0, EFD_CLOEXEC);
  if (done_ < 0) throw_io(std::string("cannot watch over what a client asks: ") + std::strerror(errno));
  try {
    thread_ = start_thread(
        "serve-watch", [this, client = door.client(), seconds, stop = std::move(stop)] { run(client, seconds, stop); });
  } catch (const std::exception&) {
    ::close(done_);
    throw;
  }
}

Watch::~Watch() {
  if (done_ < 0) return;
  const uint64_t one = 1;
  while (::write(done_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
  ::close(done_);
}

void Watch::run(int client, double seconds, const std::function<void()>& stop) {
  const auto begin = Clock::now();
  for (;;) {
    pollfd ready[2] = {{done_, POLLIN, 0}, {client, POLLRDHUP, 0}};
    const bool gone = ::poll(ready, 1, kMillisecondsBetweenLooks) == 0 && client >= 0 && ::poll(ready + 1, 1, 0) > 0;
    if (ready[0].revents) return;
    if (client >= 0 && takes_back(client)) reason_ = Reason::asked;
    else if (seconds > 0 && std::chrono::duration<double>(Clock::now() - begin).count() > seconds)
      reason_ = Reason::time;
    else if (seconds <= 0 && (gone || client < 0)) reason_ = Reason::gone;
    if (reason_ == Reason::none) continue;
    stop();
    return;
  }
}

}  // namespace trainhost::serve
