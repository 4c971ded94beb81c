// What a script asks the embedded store and waits for: experiments, and reading runs back.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/track/database.h"

namespace trainhost::track {

struct Experiment {
  int64_t id = 0;
  std::string name, artifact_location, lifecycle_stage;
  int64_t creation_time = 0, last_update_time = 0;
};

struct RunInfo {
  std::string id, name, user, status, artifact_uri, lifecycle_stage = "active";
  int64_t experiment_id = 0, start_time = 0, end_time = 0;  // ms; end_time 0: not ended
};

struct Metric {
  std::string key;
  double value = 0.0;
  int64_t step = 0, timestamp = 0;
};

struct StoredRun {
  RunInfo info;
  std::vector<Metric> metrics;  // the latest point of each key
  std::map<std::string, std::string> params, tags;
};

// A connection of its own beside the sink's; any thread, one at a time inside. Throws Error(tracking).
class Store {
 public:
  // Opens `path` and makes it an MLflow database if it is new. New experiments keep artifacts in `artifact_root`/ID.
  Store(std::string path, std::string artifact_root);

  // The experiment of that name, made if there is none. Safe when many processes ask at once.
  Experiment experiment(const std::string& name);
  std::optional<Experiment> find_experiment(const std::string& name);
  std::optional<Experiment> find_experiment(int64_t id);
  std::optional<StoredRun> find_run(const std::string& run_id);
  // All points of one metric, by timestamp and step as MLflow returns them.
  std::vector<Metric> metric_history(const std::string& run_id, const std::string& key);

  const std::string& path() const noexcept { return path_; }

 private:
  std::optional<Experiment> find(const char* where, const auto& value);

  std::mutex mutex_;
  std::string path_, artifact_root_;
  Database database_;
};

}  // namespace trainhost::track
