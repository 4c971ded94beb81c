// Experiments and runs, read and made with plain SQL on MLflow's tables.
#include "host/track/local_store.h"

#include <utility>

#include "host/track/record.h"
#include "host/track/rows.h"
#include "host/track/schema.h"

namespace trainhost::track {
namespace {

constexpr auto kBusy = std::chrono::seconds(30);

}  // namespace

LocalStore::LocalStore(std::string path, std::string artifact_root)
    : path_(std::move(path)), artifact_root_(std::move(artifact_root)), database_(path_, kBusy) {
  prepare_database(database_, artifact_root_);
}

std::optional<Experiment> LocalStore::find(const char* where, const auto& value) {
  const std::string sql =
      "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time "
      "FROM experiments WHERE " +
      std::string(where) + " = ?";
  Statement row(database_, sql.c_str());
  if (!row.bind(value).step()) return std::nullopt;
  return Experiment{row.integer(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.integer(5)};
}

std::optional<Experiment> LocalStore::find_experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  return find("name", name);
}

std::optional<Experiment> LocalStore::find_experiment(int64_t id, std::chrono::milliseconds /*limit*/) {
  std::lock_guard lock(mutex_);
  return find("experiment_id", id);
}

Experiment LocalStore::experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (auto found = find("name", name)) return *found;
  Transaction transaction(database_);
  if (auto found = find("name", name)) return *found;  // another process was first
  const int64_t now = now_ms();
  Statement next(database_, "SELECT coalesce(max(experiment_id), 0) + 1 FROM experiments");
  next.bind().step();
  Experiment made{next.integer(0), name, "", "active", now, now};
  next.reset();
  made.artifact_location = artifact_root_ + "/" + std::to_string(made.id);
  Statement(database_,
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time) VALUES (?, ?, ?, 'active', ?, ?)")
      .bind(made.id, made.name, made.artifact_location, now, now)
      .run();
  transaction.commit();
  return made;
}

std::optional<StoredRun> LocalStore::find_run(const std::string& run_id) {
  std::lock_guard lock(mutex_);
  StoredRun run;
  Statement info(database_, (std::string("SELECT ") + kRunColumns + " FROM runs WHERE run_uuid = ?").c_str());
  if (!info.bind(run_id).step()) return std::nullopt;
  run.info = run_of(info);
  info.reset();
  Statement metrics(
      database_,
      (std::string("SELECT ") + kMetricColumns + " FROM latest_metrics WHERE run_uuid = ? ORDER BY key").c_str());
  metrics.bind(run_id);
  while (metrics.step()) run.metrics.push_back(metric_of(metrics));
  Statement params(database_, "SELECT key, value FROM params WHERE run_uuid = ?");
  params.bind(run_id);
  while (params.step()) run.params[params.text(0)] = params.text(1);
  Statement tags(database_, "SELECT key, value FROM tags WHERE run_uuid = ?");
  tags.bind(run_id);
  while (tags.step()) run.tags[tags.text(0)] = tags.text(1);
  return run;
}

std::vector<Metric> LocalStore::metric_history(const std::string& run_id, const std::string& key) {
  std::lock_guard lock(mutex_);
  return points_of(database_, run_id, key, "timestamp, step, value");
}

}  // namespace trainhost::track
