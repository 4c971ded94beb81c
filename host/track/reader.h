// A store looked at from outside: its runs and the points of their metrics. The file is never written.
#pragma once

#include <string>
#include <vector>

#include "host/track/database.h"
#include "host/track/store.h"

namespace trainhost::track {

struct ListedRun {
  RunInfo info;
  std::vector<std::string> metrics;  // their names, sorted
};

// A connection that reads only; one thread at a time. Throws Error(tracking): no such file, or none of MLflow's.
class Reader {
 public:
  explicit Reader(std::string path);

  // Runs that are not deleted, the latest first.
  std::vector<ListedRun> runs();
  // All points of one metric, by step; of several at one step in the order in which they were logged.
  std::vector<Metric> points(const std::string& run_id, const std::string& key);

 private:
  Database database_;
};

}  // namespace trainhost::track
