// The embedded store: an MLflow database in a file.
#pragma once

#include <mutex>

#include "host/track/database.h"
#include "host/track/sqlite_sink.h"
#include "host/track/store.h"

namespace trainhost::track {

// A call of MLflow's REST API, answered from a database; what it logs goes through `sink`.
nlohmann::json local_call(Database& database, Sink& sink, const std::string& artifact_root, const std::string& path,
                          const nlohmann::json& request);

class LocalStore : public Store {
 public:
  // Opens `path` and makes it an MLflow database if it is new. New experiments keep artifacts in `artifact_root`/ID.
  LocalStore(std::string path, std::string artifact_root);

  Experiment experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(int64_t id, std::chrono::milliseconds limit = kQuick) override;
  std::optional<StoredRun> find_run(const std::string& run_id) override;
  nlohmann::json call(const std::string& path, const nlohmann::json& request) override;
  const std::string& address() const noexcept override { return path_; }

 private:
  std::mutex mutex_;
  std::string path_, artifact_root_;
  Database database_;
  SqliteSink sink_;  // of what calls log, beside that of the queue
};

}  // namespace trainhost::track
