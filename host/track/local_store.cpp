// One connection for what scripts ask; calls by their path.
#include "host/track/local_store.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/local_experiments.h"
#include "host/track/local_models.h"
#include "host/track/local_registry.h"
#include "host/track/local_runs.h"
#include "host/track/request.h"
#include "host/track/schema.h"

namespace trainhost::track {
namespace {

constexpr auto kBusy = std::chrono::seconds(30);

}  // namespace

LocalStore::LocalStore(std::string path, std::string artifact_root)
    : path_(std::move(path)), artifact_root_(std::move(artifact_root)), database_(path_, kBusy), sink_(path_) {
  prepare_database(database_, artifact_root_);
  database_.run("PRAGMA case_sensitive_like = ON");
}

std::optional<Experiment> LocalStore::find_experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  return track::find_experiment(database_, "name", name);
}

std::optional<Experiment> LocalStore::find_experiment(int64_t id, std::chrono::milliseconds /*limit*/) {
  std::lock_guard lock(mutex_);
  return track::find_experiment(database_, "experiment_id", id);
}

Experiment LocalStore::experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (auto found = track::find_experiment(database_, "name", name)) return *found;
  Transaction transaction(database_);
  if (auto found = track::find_experiment(database_, "name", name)) return *found;  // another process was first
  const Experiment made = create_experiment(database_, name, "", artifact_root_);
  transaction.commit();
  return made;
}

std::optional<StoredRun> LocalStore::find_run(const std::string& run_id) {
  std::lock_guard lock(mutex_);
  return read_run(database_, run_id);
}

nlohmann::json LocalStore::call(const std::string& path, const nlohmann::json& request) {
  std::lock_guard lock(mutex_);
  return local_call(database_, sink_, artifact_root_, path, request);
}

nlohmann::json local_call(Database& database, Sink& sink, const std::string& artifact_root, const std::string& path,
                          const nlohmann::json& request) {
  const auto [method, call] = method_of(path);
  const size_t slash = std::min(call.find('/'), call.size());
  const std::string noun = call.substr(0, slash), action = call.substr(std::min(slash + 1, call.size()));
  std::optional<nlohmann::json> answer;
  if (noun == "experiments") answer = call_experiments(database, artifact_root, action, request);
  else if (noun == "runs") answer = call_runs(database, sink, action, request);
  else if (noun == "logged-models") answer = call_models(database, method, action, request);
  else if (noun == "registered-models") answer = call_registered_models(database, method, action, request);
  else if (noun == "model-versions") answer = call_model_versions(database, action, request);
  else if (call == "metrics/get-history") answer = metric_history(database, request);
  if (!answer) throw Error(ErrorKind::internal, "mlflow: the call '" + path + "' is not one of a local store");
  return *std::move(answer);
}

}  // namespace trainhost::track
