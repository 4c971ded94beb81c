// Columns by their places.
#include "host/track/rows.h"

#include <limits>

namespace trainhost::track {

RunInfo run_of(const Statement& row) {
  return {row.text(0), row.text(1),    row.text(2),    row.text(3),   row.text(4),
          row.text(5), row.integer(6), row.integer(7), row.integer(8)};
}

Metric metric_of(const Statement& row) {
  const double value = row.integer(2) ? std::numeric_limits<double>::quiet_NaN() : row.number(1);
  return {row.text(0), value, row.integer(3), row.integer(4)};
}

std::vector<Metric> points_of(Database& database, const std::string& run_id, const std::string& key,
                              const char* order) {
  std::vector<Metric> points;
  const std::string sql =
      std::string("SELECT ") + kMetricColumns + " FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY " + order;
  Statement rows(database, sql.c_str());
  rows.bind(run_id, key);
  while (rows.step()) points.push_back(metric_of(rows));
  return points;
}

}  // namespace trainhost::track
