// What the NVIDIA GPUs of the machine are doing, as MLflow's system metrics count it.
#pragma once

#include <memory>

#include "host/track/machine.h"

namespace trainhost::track {

// Asks NVML, the library that comes with the driver; without it, or without a GPU, there are no figures. One thread.
class Gpus {
 public:
  explicit Gpus(const char* library = "libnvidia-ml.so.1");
  ~Gpus();
  Gpus(const Gpus&) = delete;
  Gpus& operator=(const Gpus&) = delete;

  // What a GPU does not tell is left out.
  void sample(const TakeFigure& take) const;

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;  // none: there is nothing to ask
};

}  // namespace trainhost::track
