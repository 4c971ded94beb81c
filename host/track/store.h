// What a script asks a store and waits for: experiments, and reading runs back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/base/error.h"

namespace trainhost::track {

struct Experiment {
  int64_t id = 0;  // below 0: chosen by name while its server could not be asked
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

// A file or a folder of a run's artifacts; `path` from where they begin.
struct StoredArtifact {
  std::string path;
  bool is_folder = false;
  int64_t size = 0;  // of a file
};

// A run, an experiment, a tag, an artifact that is not there.
class NotFound : public Error {
 public:
  explicit NotFound(std::string message) : Error(ErrorKind::tracking, std::move(message)) {}
};
// A script that starts a run does not wait longer for a server.
inline constexpr std::chrono::milliseconds kQuick{2000};

// A connection of its own beside the sink's; any thread, one at a time inside. Throws Error(tracking).
class Store {
 public:
  virtual ~Store() = default;

  // The experiment of that name, made if there is none. Safe when many processes ask at once.
  virtual Experiment experiment(const std::string& name) = 0;
  virtual std::optional<Experiment> find_experiment(const std::string& name) = 0;
  // `limit`: how long a server is waited for; one that has not answered then is believed to have it.
  virtual std::optional<Experiment> find_experiment(int64_t id, std::chrono::milliseconds limit = kQuick) = 0;
  virtual std::optional<StoredRun> find_run(const std::string& run_id) = 0;
  // A call of MLflow's REST API, whatever keeps the runs: its path below api/2.0/mlflow/ ("runs/search", "PATCH
  // logged-models/ID": the method stands before it unless it is GET of what reads, or POST), its request and its answer
  // as MLflow documents them. Throws NotFound; Error(usage) for what MLflow calls an invalid parameter.
  virtual nlohmann::json call(const std::string& path, const nlohmann::json& request) = 0;

  // Artifacts below `uri`, which is a folder here or, of a server, one that it keeps (mlflow-artifacts:). Listed are
  // those of one folder, "" for the first, sorted; of a file, or of what is not there, none. Throw NotFound, Error(io).
  virtual std::vector<StoredArtifact> list_artifacts(const std::string& uri, const std::string& path);
  virtual void get_artifact(const std::string& uri, const std::string& path, const std::string& target);
  // The file `source`, or where that is empty `content`.
  virtual void put_artifact(const std::string& uri, const std::string& path, const std::string& source,
                            const std::string& content);

  // The path of the database or the URL of the server; one store for each in a Tracker.
  virtual const std::string& address() const noexcept = 0;
};

// While it lives, stores that this thread waits for ask `stop` whether to give up: an Error(interrupted).
class StopAsked {
 public:
  explicit StopAsked(std::function<bool()> stop);
  ~StopAsked();
  StopAsked(const StopAsked&) = delete;
  StopAsked& operator=(const StopAsked&) = delete;

 private:
  std::function<bool()> stop_;
  const std::function<bool()>* before_;
};

}  // namespace trainhost::track
