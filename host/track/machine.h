// What the machine is doing: CPU, memory, disk and network, as MLflow's system metrics count them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace trainhost::track {

// Takes one figure, by MLflow's name without "system/". `is_total`: it has been summed up by itself, its latest value
// counts; of the others the mean.
using TakeFigure = std::function<void(std::string_view name, double value, bool is_total)>;

// Figures that cannot be read are left out. One thread.
class Machine {
 public:
  // Takes the first readings, which the next are compared with. `proc`: where the kernel tells, `disk`: which is told
  // of.
  explicit Machine(std::string proc = "/proc", std::string disk = "/");
  void sample(const TakeFigure& take);

 private:
  struct Processor {
    double busy = 0.0, all = 0.0;  // ticks
  };
  struct Traffic {
    uint64_t received = 0, sent = 0;  // bytes
  };
  Processor read_processor() const;
  std::map<std::string, Traffic> read_traffic() const;
  void sample_processor(const TakeFigure& take);
  void sample_memory(const TakeFigure& take) const;
  void sample_disk(const TakeFigure& take) const;
  void sample_traffic(const TakeFigure& take);

  const std::string proc_, disk_;
  Processor processor_;
  std::map<std::string, Traffic> traffic_;  // of each interface
  Traffic since_;                           // what has come and gone since the first reading
};

// As Python's round(value, 1).
double to_tenths(double value);

}  // namespace trainhost::track
