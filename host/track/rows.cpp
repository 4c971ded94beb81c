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

}  // namespace trainhost::track
