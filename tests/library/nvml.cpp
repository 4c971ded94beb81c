// What tells of GPUs where there are none: a stand-in for the driver's NVML. Of two, the second tells less; with
// NVML_LOST in the environment there is a third, which cannot be had.
#include <cstdlib>

#pragma GCC visibility push(default)
extern "C" {
struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned int gpu, memory;
};

static int devices[2];
constexpr int kNotSupported = 3, kLost = 15;

int nvmlInit_v2() { return 0; }
int nvmlInitWithFlags(unsigned int) { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned int* count) { return *count = std::getenv("NVML_LOST") ? 3 : 2, 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, int** device) {
  if (index == 2) return kLost;
  *device = &devices[index];
  return 0;
}
int nvmlDeviceGetMemoryInfo(int* device, Memory* memory) {
  if (device == &devices[1]) return kNotSupported;
  *memory = {80'000'000'000, 60'000'000'000, 20'012'345'678};
  return 0;
}
int nvmlDeviceGetUtilizationRates(int* device, Utilization* rates) {
  *rates = {device == &devices[1] ? 7u : 91u, 40u};
  return 0;
}
int nvmlDeviceGetPowerUsage(int* device, unsigned int* milliwatts) {
  if (device == &devices[1]) return kNotSupported;
  return *milliwatts = 123'456, 0;
}
int nvmlDeviceGetEnforcedPowerLimit(int*, unsigned int* milliwatts) { return *milliwatts = 700'000, 0; }
}
