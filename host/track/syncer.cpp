// Twice a second, and once at the end.
#include "host/track/syncer.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/error.h"
#include "host/base/log.h"
#include "host/base/thread.h"

namespace trainhost::track {
namespace {

using namespace std::chrono_literals;

// Half of what is promised: the other half is the disk's.
constexpr auto kEvery = 500ms;
constexpr auto kPatience = 1s;

}  // namespace

// Shared with the thread, which a disk that hangs may keep for longer than us.
struct Syncer::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::weak_ptr<Spool>> spools;
  bool stopping = false, finished = false;
  std::thread thread;
  bool failing = false;  // the thread's own

  void run() {
    std::unique_lock lock(mutex);
    for (bool last = false; !last;) {
      std::erase_if(spools, [](const auto& spool) { return spool.expired(); });
      if (spools.empty()) changed.wait(lock, [this] { return stopping || !spools.empty(); });
      changed.wait_for(lock, kEvery, [this] { return stopping; });
      last = stopping;
      const auto now = spools;
      lock.unlock();
      for (const auto& each : now)
        if (const auto spool = each.lock()) sync(*spool);
      lock.lock();
    }
    finished = true;
    changed.notify_all();
  }

  void sync(Spool& spool) {
    try {
      spool.sync();
      failing = false;
    } catch (const Error& e) {
      if (std::exchange(failing, true)) return;
      log::warn("mlflow: " + e.message() + ": what is logged to the run " + spool.run() +
                " survives no power cut until it is stored");
    }
  }
};

Syncer::Syncer() : state_(std::make_shared<State>()) {}

Syncer::~Syncer() { stop(); }

void Syncer::add(const std::shared_ptr<Spool>& spool) {
  std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;
  state_->spools.push_back(spool);
  state_->changed.notify_all();
  if (state_->thread.joinable()) return;
  try {
    state_->thread = start_thread("trainhost-sync", [state = state_] { state->run(); });
  } catch (const std::system_error&) {
    // The next run asks again; until then this one is as safe as its store.
  }
}

void Syncer::stop() {
  std::thread thread;
  {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    if (!state_->thread.joinable()) return;
    state_->changed.notify_all();
    state_->changed.wait_for(lock, kPatience, [this] { return state_->finished; });
    thread = std::exchange(state_->thread, {});
    if (!state_->finished) return thread.detach();
  }
  thread.join();
}

}  // namespace trainhost::track
