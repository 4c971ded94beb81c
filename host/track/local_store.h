// The embedded store: an MLflow database in a file.
#pragma once

#include <mutex>

#include "host/track/database.h"
#include "host/track/store.h"

namespace trainhost::track {

class LocalStore : public Store {
 public:
  // Opens `path` and makes it an MLflow database if it is new. New experiments keep artifacts in `artifact_root`/ID.
  LocalStore(std::string path, std::string artifact_root);

  Experiment experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(int64_t id, std::chrono::milliseconds limit = kQuick) override;
  std::optional<StoredRun> find_run(const std::string& run_id) override;
  std::vector<Metric> metric_history(const std::string& run_id, const std::string& key) override;
  const std::string& address() const noexcept override { return path_; }

 private:
  std::optional<Experiment> find(const char* where, const auto& value);

  std::mutex mutex_;
  std::string path_, artifact_root_;
  Database database_;
};

}  // namespace trainhost::track
