// Runs and metrics with plain SQL on a connection that cannot write.
#include "host/track/reader.h"

#include <limits>
#include <unordered_map>
#include <utility>

namespace trainhost::track {
namespace {

constexpr auto kBusy = std::chrono::seconds(5);

double stored_value(const Statement& row, int value, int is_nan) {
  if (row.integer(is_nan)) return std::numeric_limits<double>::quiet_NaN();
  const double stored = row.number(value);
  if (stored == std::numeric_limits<double>::max()) return std::numeric_limits<double>::infinity();
  if (stored == std::numeric_limits<double>::lowest()) return -std::numeric_limits<double>::infinity();
  return stored;
}

}  // namespace

Reader::Reader(std::string path) : database_(std::move(path), kBusy, Access::read) {}

std::vector<ListedRun> Reader::runs() {
  std::vector<ListedRun> list;
  std::unordered_map<std::string, size_t> places;
  Statement rows(database_,
                 "SELECT run_uuid, name, user_id, status, artifact_uri, lifecycle_stage, experiment_id, start_time, "
                 "end_time FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time DESC, run_uuid");
  while (rows.step()) {
    places[rows.text(0)] = list.size();
    list.push_back({{rows.text(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4), rows.text(5),
                     rows.integer(6), rows.integer(7), rows.integer(8)},
                    {}});
  }
  Statement keys(database_, "SELECT run_uuid, key FROM latest_metrics ORDER BY key");
  while (keys.step())
    if (const auto found = places.find(keys.text(0)); found != places.end())
      list[found->second].metrics.push_back(keys.text(1));
  return list;
}

std::vector<Metric> Reader::points(const std::string& run_id, const std::string& key) {
  std::vector<Metric> points;
  Statement rows(database_,
                 "SELECT key, value, is_nan, step, timestamp FROM metrics WHERE run_uuid = ? AND key = ? "
                 "ORDER BY step, timestamp, rowid");
  rows.bind(run_id, key);
  while (rows.step()) points.push_back({rows.text(0), stored_value(rows, 1, 2), rows.integer(3), rows.integer(4)});
  return points;
}

}  // namespace trainhost::track
