// libnvidia-ml.so.1 by dlopen; the declarations are those of nvml.h, which are kept for good.
#include "host/track/gpus.h"

#include <dlfcn.h>

#include <string>
#include <vector>

namespace trainhost::track {

struct Gpus::Nvml {
  using Device = struct nvmlDevice_st*;
  struct Memory {
    unsigned long long total, free, used;  // bytes
  };
  struct Utilization {
    unsigned int gpu, memory;  // percent
  };
  int (*init)();
  int (*shutdown)();
  int (*count)(unsigned int*);
  int (*handle)(unsigned int, Device*);
  int (*memory)(Device, Memory*);
  int (*utilization)(Device, Utilization*);
  int (*power)(Device, unsigned int*);        // milliwatts
  int (*power_limit)(Device, unsigned int*);  // milliwatts
  std::vector<Device> devices;                // nullptr: one that cannot be asked
};

namespace {

constexpr int kSuccess = 0;

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

Gpus::Gpus(const char* library) {
  void* const opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!opened) return;
  auto nvml = std::make_unique<Nvml>();
  if (!find(opened, "nvmlInit_v2", nvml->init) || !find(opened, "nvmlShutdown", nvml->shutdown) ||
      !find(opened, "nvmlDeviceGetCount_v2", nvml->count) ||
      !find(opened, "nvmlDeviceGetHandleByIndex_v2", nvml->handle) ||
      !find(opened, "nvmlDeviceGetMemoryInfo", nvml->memory) ||
      !find(opened, "nvmlDeviceGetUtilizationRates", nvml->utilization) ||
      !find(opened, "nvmlDeviceGetPowerUsage", nvml->power) ||
      !find(opened, "nvmlDeviceGetEnforcedPowerLimit", nvml->power_limit) || nvml->init() != kSuccess)
    return;
  nvml_ = std::move(nvml);
  unsigned int count = 0;
  if (nvml_->count(&count) != kSuccess) return;
  nvml_->devices.resize(count);
  for (unsigned int i = 0; i < count; ++i)
    if (nvml_->handle(i, &nvml_->devices[i]) != kSuccess) nvml_->devices[i] = nullptr;
}

Gpus::~Gpus() {
  if (nvml_) nvml_->shutdown();
}

void Gpus::sample(const TakeFigure& take) const {
  for (size_t i = 0; nvml_ && i < nvml_->devices.size(); ++i) {
    const Nvml::Device device = nvml_->devices[i];
    if (!device) continue;
    const auto tell = [&](const char* what, double value) {
      take("gpu_" + std::to_string(i) + "_" + what, value, false);
    };
    Nvml::Memory memory{};
    if (nvml_->memory(device, &memory) == kSuccess && memory.total > 0) {
      const auto used = static_cast<double>(memory.used);
      tell("memory_usage_percentage", to_tenths(used / static_cast<double>(memory.total) * 100.0));
      tell("memory_usage_megabytes", used / 1e6);
    }
    Nvml::Utilization utilization{};
    if (nvml_->utilization(device, &utilization) == kSuccess) tell("utilization_percentage", utilization.gpu);
    unsigned int power = 0, limit = 0;
    if (nvml_->power(device, &power) == kSuccess && nvml_->power_limit(device, &limit) == kSuccess && limit > 0) {
      tell("power_usage_watts", power / 1000.0);
      tell("power_usage_percentage", static_cast<double>(power) / limit * 100.0);
    }
  }
}

}  // namespace trainhost::track
