// The thread that logs what the machine is doing beside a run.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace trainhost::track {

struct MonitorOptions {
  std::chrono::duration<double> interval{10.0};  // between two samples
  int64_t samples = 1;                           // of which the mean is logged
  std::string prefix = "system/";
  int64_t step = 0;  // the first
};

class Monitor {
 public:
  // Called by the thread, with ms since the epoch; must not throw.
  using Log = std::function<void(const std::string& key, double value, int64_t step, int64_t timestamp)>;

  // Throws std::system_error if the system has no thread left.
  Monitor(MonitorOptions options, Log log);
  // Nothing is logged any more. A driver that does not answer is not waited for.
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace trainhost::track
