// A sample after each interval; the mean of some, by one step.
#include "host/track/monitor.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "host/base/log.h"
#include "host/base/thread.h"
#include "host/track/gpus.h"
#include "host/track/machine.h"
#include "host/track/record.h"

namespace trainhost::track {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(1);

struct Mean {
  double sum = 0.0;
  int64_t count = 0;
  bool is_total = false;

  void add(double value, bool total) {
    is_total = total;
    sum = total ? value : sum + value;
    ++count;
  }
  double value() const { return is_total ? sum : to_tenths(sum / static_cast<double>(count)); }
};

}  // namespace

struct Monitor::Shared {
  const MonitorOptions options;
  const Log log;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false, done = false;

  // False: it is over.
  bool wait_until(Clock::time_point time) {
    std::unique_lock lock(mutex);
    return !changed.wait_until(lock, time, [&] { return stopped; });
  }

  void watch() {
    Machine machine;
    const Gpus gpus;
    const auto interval = std::chrono::duration_cast<Clock::duration>(options.interval);
    auto next = Clock::now();
    for (int64_t step = options.step;; ++step) {
      std::map<std::string, Mean, std::less<>> means;
      const TakeFigure take = [&](std::string_view name, double value, bool is_total) {
        means[std::string(name)].add(value, is_total);
      };
      for (int64_t i = 0; i < options.samples; ++i) {
        next = std::max(next + interval, Clock::now());  // what took too long is not caught up with
        if (!wait_until(next)) return;
        machine.sample(take);
        gpus.sample(take);
      }
      const std::lock_guard lock(mutex);
      if (stopped) return;
      const int64_t now = now_ms();
      for (const auto& [name, mean] : means) log(options.prefix + name, mean.value(), step, now);
    }
  }
};

Monitor::Monitor(MonitorOptions options, Log log)
    : shared_(new Shared{std::move(options), std::move(log)}),
      thread_(start_thread("trainhost-watch", [shared = shared_] {
        try {
          shared->watch();
        } catch (const std::exception& e) {
          log::warn(std::string("mlflow: system metrics are no longer logged: ") + e.what());
        }
        const std::lock_guard lock(shared->mutex);
        shared->done = true;
        shared->changed.notify_all();
      })) {}

Monitor::~Monitor() {
  std::unique_lock lock(shared_->mutex);
  shared_->stopped = true;
  shared_->changed.notify_all();
  const bool done = shared_->changed.wait_for(lock, kPatience, [&] { return shared_->done; });
  lock.unlock();
  if (done) thread_.join();
  else thread_.detach();
}

}  // namespace trainhost::track
