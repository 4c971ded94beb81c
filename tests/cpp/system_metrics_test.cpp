// System metrics: what the kernel tells, what NVML tells, when it is logged.
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "host/track/gpus.h"
#include "host/track/machine.h"
#include "host/track/monitor.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

using namespace trainhost::track;
using namespace trainhost::test;
using namespace std::chrono_literals;

namespace {

using Figures = std::map<std::string, double>;

template <class Source>
Figures sample(Source& source) {
  Figures figures;
  source.sample([&](std::string_view name, double value, bool) { figures[std::string(name)] = value; });
  return figures;
}

constexpr char kTitles[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n";

}  // namespace

TEST_CASE("a machine is counted as psutil counts it", "[track]") {
  Folder proc;
  std::filesystem::create_directory(proc / "net");
  proc.put("stat", "cpu  100 10 50 800 40 5 5 0 20 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
  proc.put("meminfo", "MemTotal:       1000000 kB\nMemFree:         100000 kB\nMemAvailable:    250000 kB\n");
  proc.put("net/dev", std::string(kTitles) +
                          "    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n"
                          "eth0:1:5000000 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n");
  Machine machine(proc.path.string());
  proc.put("stat", "cpu  160 10 50 810 60 5 15 0 80 0\n");
  proc.put("net/dev", std::string(kTitles) +
                          "    lo: 3000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n"
                          "eth0:1:9000000 1 0 0 0 0 0 0 2000100 1 0 0 0 0 0 0\n");
  Figures figures = sample(machine);
  CHECK(figures["cpu_utilization_percentage"] == 70.0);  // 70 busy ticks of 100: guests are users already
  CHECK(figures["system_memory_usage_megabytes"] == 768.0);
  CHECK(figures["system_memory_usage_percentage"] == 75.0);
  CHECK(figures["network_receive_megabytes"] == 4.002);
  CHECK(figures["network_transmit_megabytes"] == 2.0);
  CHECK(figures["disk_usage_percentage"] > 0.0);
  CHECK(figures["disk_usage_megabytes"] > 0.0);
  CHECK(figures["disk_available_megabytes"] >= 0.0);

  // An interface that goes takes nothing away; one that comes brings what it has.
  proc.put("net/dev", std::string(kTitles) + "  eth1: 1000000 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0\n");
  figures = sample(machine);
  CHECK(figures["cpu_utilization_percentage"] == 0.0);  // no time has gone by
  CHECK(figures["network_receive_megabytes"] == 5.002);
  CHECK(figures["network_transmit_megabytes"] == 2.0);
}

TEST_CASE("what a machine does not tell is left out", "[track]") {
  Folder proc;
  Machine machine(proc.path.string(), proc / "nothing");
  CHECK(sample(machine).empty());
}

TEST_CASE("tenths are rounded as Python rounds them", "[track]") {
  CHECK(to_tenths(0.25) == 0.2);
  CHECK(to_tenths(0.35) == 0.3);
  CHECK(to_tenths(99.95) == 100.0);
  CHECK(to_tenths(12345678.949) == 12345678.9);
  CHECK(to_tenths(-0.04) == 0.0);
}

TEST_CASE("GPUs are told of by NVML, without what they do not tell", "[track]") {
  const std::string library = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "liblibrary_nvml.so";
  REQUIRE(std::filesystem::exists(library));
  setenv("NVML_LOST", "1", 1);
  const Gpus gpus(library.c_str());
  unsetenv("NVML_LOST");
  const Figures expected = {{"gpu_0_memory_usage_percentage", 25.0},
                            {"gpu_0_memory_usage_megabytes", 20012.345678},
                            {"gpu_0_utilization_percentage", 91.0},
                            {"gpu_0_power_usage_watts", 123.456},
                            {"gpu_0_power_usage_percentage", 123456.0 / 700000.0 * 100.0},
                            {"gpu_1_utilization_percentage", 7.0}};
  CHECK(sample(gpus) == expected);
}

TEST_CASE("without NVML there are no figures of GPUs", "[track]") {
  const Gpus gpus("libthere-is-none.so.1");
  CHECK(sample(gpus).empty());
}

TEST_CASE("a monitor logs the mean of its samples, step by step, until it is gone", "[track]") {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<int64_t>> steps;
  const auto count = [&] { return steps["system/n0/disk_usage_percentage"].size(); };
  {
    Monitor monitor({2ms, 3, "system/n0/", 5}, [&](const std::string& key, double, int64_t step, int64_t time) {
      const std::lock_guard lock(mutex);
      CHECK(time > 1'700'000'000'000);
      steps[key].push_back(step);
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, 30s, [&] { return count() >= 3; }));
  }
  const size_t before = count();
  std::this_thread::sleep_for(20ms);
  CHECK(count() == before);
  for (size_t i = 0; i < before; ++i) CHECK(steps["system/n0/disk_usage_percentage"][i] == 5 + static_cast<int64_t>(i));
}
