// Runs and metrics with plain SQL on a connection that cannot write.
#include "host/track/reader.h"

#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "host/track/rows.h"

namespace trainhost::track {
namespace {

constexpr auto kBusy = std::chrono::seconds(5);

}  // namespace

Reader::Reader(std::string path) : database_(std::move(path), kBusy, Access::read) {}

std::vector<ListedRun> Reader::runs() {
  std::vector<ListedRun> list;
  std::unordered_map<std::string, size_t> places;
  Statement rows(database_, (std::string("SELECT ") + kRunColumns +
                             " FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time DESC, run_uuid")
                                .c_str());
  while (rows.step()) {
    places[rows.text(0)] = list.size();
    list.push_back({run_of(rows), {}});
  }
  Statement keys(database_, "SELECT run_uuid, key FROM latest_metrics ORDER BY key");
  while (keys.step())
    if (const auto found = places.find(keys.text(0)); found != places.end())
      list[found->second].metrics.push_back(keys.text(1));
  return list;
}

std::vector<Metric> Reader::points(const std::string& run_id, const std::string& key) {
  std::vector<Metric> points;
  Statement rows(database_, (std::string("SELECT ") + kMetricColumns +
                             " FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step, timestamp, rowid")
                                .c_str());
  rows.bind(run_id, key);
  while (rows.step()) {
    Metric& point = points.emplace_back(metric_of(rows));
    // What was logged as infinite is stored as the largest number.
    if (std::abs(point.value) == std::numeric_limits<double>::max())
      point.value = std::copysign(std::numeric_limits<double>::infinity(), point.value);
  }
  return points;
}

}  // namespace trainhost::track
