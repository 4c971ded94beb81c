// /proc and statvfs, counted as psutil counts, which MLflow asks.
#include "host/track/machine.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

namespace trainhost::track {
namespace {

constexpr double kMegabyte = 1e6;

// A counter that has begun again counts from 0.
uint64_t grown(uint64_t before, uint64_t now) { return now >= before ? now - before : now; }

}  // namespace

double to_tenths(double value) {
  std::array<char, 400> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 1).ptr;
  std::from_chars(text.data(), end, value);
  return value;
}

Machine::Machine(std::string proc, std::string disk)
    : proc_(std::move(proc)), disk_(std::move(disk)), processor_(read_processor()), traffic_(read_traffic()) {}

void Machine::sample(const TakeFigure& take) {
  sample_processor(take);
  sample_memory(take);
  sample_disk(take);
  sample_traffic(take);
}

// cpu user nice system idle iowait irq softirq steal guest guest_nice: guests are in user and nice already.
Machine::Processor Machine::read_processor() const {
  std::ifstream in(proc_ + "/stat");
  std::string name;
  in >> name;
  Processor read;
  double ticks = 0.0;
  for (int column = 0; column < 8 && in >> ticks; ++column) {
    read.all += ticks;
    if (column != 3 && column != 4) read.busy += ticks;
  }
  return read;
}

void Machine::sample_processor(const TakeFigure& take) {
  const Processor before = std::exchange(processor_, read_processor());
  if (processor_.all <= 0.0) return;
  const double all = processor_.all - before.all, busy = std::max(processor_.busy - before.busy, 0.0);
  take("cpu_utilization_percentage", all > 0.0 ? to_tenths(std::min(busy / all, 1.0) * 100.0) : 0.0, false);
}

void Machine::sample_memory(const TakeFigure& take) const {
  std::ifstream in(proc_ + "/meminfo");
  double total = 0.0, free = 0.0, available = -1.0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    double kilobytes = 0.0;
    words >> name >> kilobytes;
    if (name == "MemTotal:") total = kilobytes * 1024.0;
    if (name == "MemFree:") free = kilobytes * 1024.0;
    if (name == "MemAvailable:") available = kilobytes * 1024.0;
  }
  if (total <= 0.0) return;
  if (available < 0.0 || available > total) available = free;  // in a container that is told of another machine
  take("system_memory_usage_megabytes", (total - available) / kMegabyte, false);
  take("system_memory_usage_percentage", (total - available) / total * 100.0, false);
}

// A part of the disk is for root alone: it is neither used nor available.
void Machine::sample_disk(const TakeFigure& take) const {
  struct statvfs disk {};
  if (statvfs(disk_.c_str(), &disk) != 0) return;
  const auto size = static_cast<double>(disk.f_frsize);
  const double used = static_cast<double>(disk.f_blocks - disk.f_bfree) * size;
  const double available = static_cast<double>(disk.f_bavail) * size;
  const double all = used + available;
  take("disk_usage_percentage", all > 0.0 ? to_tenths(used / all * 100.0) : 0.0, false);
  take("disk_usage_megabytes", used / kMegabyte, false);
  take("disk_available_megabytes", available / kMegabyte, false);
}

// Two lines of titles, then a line each: the name, a colon, eight columns of what was received, then of what was sent.
std::map<std::string, Machine::Traffic> Machine::read_traffic() const {
  std::map<std::string, Traffic> read;
  std::ifstream in(proc_ + "/net/dev");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.rfind(':');
    if (colon == std::string::npos) continue;
    std::istringstream columns(line.substr(colon + 1));
    Traffic traffic;
    uint64_t skipped = 0;
    columns >> traffic.received;
    for (int column = 1; column < 8; ++column) columns >> skipped;
    if (columns >> traffic.sent) read[line.substr(0, colon)] = traffic;
  }
  return read;
}

void Machine::sample_traffic(const TakeFigure& take) {
  const auto before = std::exchange(traffic_, read_traffic());
  if (traffic_.empty()) return;
  for (const auto& [name, now] : traffic_) {
    const auto known = before.find(name);
    const Traffic then = known == before.end() ? Traffic() : known->second;
    since_.received += grown(then.received, now.received);
    since_.sent += grown(then.sent, now.sent);
  }
  take("network_receive_megabytes", static_cast<double>(since_.received) / kMegabyte, true);
  take("network_transmit_megabytes", static_cast<double>(since_.sent) / kMegabyte, true);
}

}  // namespace trainhost::track
