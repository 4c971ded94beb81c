// MLflow's rules for experiments: unique names, two stages, runs that go with them.
#include "host/track/local_experiments.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/artifact.h"
#include "host/track/record.h"
#include "host/track/request.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostName = 500, kMostTagValue = 5000;  // characters

size_t length(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string name_field(const Json& request, const char* field) {
  const std::string name = clean_utf8(text_field(request, field));
  if (name.empty()) throw_usage("mlflow: Invalid experiment name: ''");
  if (length(name) > kMostName)
    throw_usage("mlflow: 'name' exceeds the maximum length of " + std::to_string(kMostName) + " characters");
  return name;
}

Json to_json(Database& database, const Experiment& experiment) {
  Json tags = Json::array();
  Statement rows(database, "SELECT key, value FROM experiment_tags WHERE experiment_id = ? ORDER BY key");
  rows.bind(experiment.id);
  while (rows.step()) tags.push_back({{"key", rows.text(0)}, {"value", rows.text(1)}});
  return {{"experiment_id", std::to_string(experiment.id)},
          {"name", experiment.name},
          {"artifact_location", experiment.artifact_location},
          {"lifecycle_stage", experiment.lifecycle_stage},
          {"creation_time", experiment.creation_time},
          {"last_update_time", experiment.last_update_time},
          {"tags", std::move(tags)}};
}

// In the stage that is wanted; empty: in any.
Experiment existing(Database& database, const Json& request, const std::string& stage = "") {
  const int64_t id = experiment_number(text_field(request, "experiment_id"));
  auto found = find_experiment(database, "experiment_id", id);
  if (!found || (!stage.empty() && found->lifecycle_stage != stage))
    throw NotFound("mlflow: No Experiment with id=" + std::to_string(id) + " exists" +
                   (found ? " in the stage '" + stage + "'" : ""));
  return *found;
}

void set_tag(Database& database, int64_t id, const Json& tag) {
  const std::string key = text_field(tag, "key"), value = clean_utf8(text_field(tag, "value"));
  check_key("tag", key);
  if (length(value) > kMostTagValue)
    throw_usage("mlflow: 'value' exceeds the maximum length of " + std::to_string(kMostTagValue) + " characters");
  Statement(database,
            "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?) "
            "ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value")
      .bind(key, value, id)
      .run();
}

// Its runs go with it, and come back with it.
void set_stage(Database& database, const Json& request, const char* from, const char* to) {
  Transaction transaction(database);
  const int64_t id = existing(database, request, from).id, now = now_ms();
  Statement(database, "UPDATE experiments SET lifecycle_stage = ?, last_update_time = ? WHERE experiment_id = ?")
      .bind(to, now, id)
      .run();
  Statement(database,
            "UPDATE runs SET lifecycle_stage = ?1, deleted_time = CASE ?1 WHEN 'deleted' THEN ?2 END "
            "WHERE experiment_id = ?3")
      .bind(to, now, id)
      .run();
  transaction.commit();
}

Json create(Database& database, const std::string& artifact_root, const Json& request) {
  const std::string name = name_field(request, "name");
  std::string location = text_field(request, "artifact_location");
  if (!location.empty())
    if (const auto folder = local_folder(location))
      location = std::filesystem::absolute(*folder).lexically_normal().string();
  Transaction transaction(database);
  if (find_experiment(database, "name", name))
    throw Error(ErrorKind::tracking, "mlflow: Experiment(name=" + name + ") already exists");
  const Experiment made = create_experiment(database, name, std::move(location), artifact_root);
  for (const Json& tag : list_field(request, "tags")) set_tag(database, made.id, tag);
  transaction.commit();
  return {{"experiment_id", std::to_string(made.id)}};
}

void rename(Database& database, const Json& request) {
  const std::string name = name_field(request, "new_name");
  Transaction transaction(database);
  const Experiment experiment = existing(database, request);
  if (experiment.lifecycle_stage != "active")
    throw Error(ErrorKind::tracking, "mlflow: Cannot rename a non-active experiment.");
  if (const auto other = find_experiment(database, "name", name); other && other->id != experiment.id)
    throw Error(ErrorKind::tracking, "mlflow: Experiment(name=" + name + ") already exists");
  Statement(database, "UPDATE experiments SET name = ?, last_update_time = ? WHERE experiment_id = ?")
      .bind(name, now_ms(), experiment.id)
      .run();
  transaction.commit();
}

Experiment active(Database& database, const Json& request) {
  Experiment experiment = existing(database, request);
  if (experiment.lifecycle_stage != "active")
    throw_usage("mlflow: The experiment " + std::to_string(experiment.id) +
                " must be in the 'active' state. Current state is " + experiment.lifecycle_stage + ".");
  return experiment;
}

void delete_tag(Database& database, const Json& request) {
  Transaction transaction(database);
  const int64_t id = active(database, request).id;
  const std::string key = text_field(request, "key");
  Statement tag(database, "SELECT 1 FROM experiment_tags WHERE experiment_id = ? AND key = ?");
  const bool exists = tag.bind(id, key).step();
  tag.reset();
  if (!exists) throw NotFound("mlflow: No tag with name: " + key + " in experiment with id " + std::to_string(id));
  Statement(database, "DELETE FROM experiment_tags WHERE experiment_id = ? AND key = ?").bind(id, key).run();
  transaction.commit();
}

}  // namespace

std::optional<Experiment> find_experiment(Database& database, const char* where, const Bound& value) {
  const std::string sql =
      "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time "
      "FROM experiments WHERE " +
      std::string(where) + " = ?";
  Statement row(database, sql.c_str());
  if (!row.bind_all({value}).step()) return std::nullopt;
  return Experiment{row.integer(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.integer(5)};
}

Experiment create_experiment(Database& database, const std::string& name, std::string location,
                             const std::string& artifact_root) {
  const int64_t now = now_ms();
  Statement next(database, "SELECT coalesce(max(experiment_id), 0) + 1 FROM experiments");
  next.bind().step();
  Experiment made{next.integer(0), name, std::move(location), "active", now, now};
  next.reset();
  if (made.artifact_location.empty()) made.artifact_location = artifact_root + "/" + std::to_string(made.id);
  Statement(database,
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time) VALUES (?, ?, ?, 'active', ?, ?)")
      .bind(made.id, made.name, made.artifact_location, now, now)
      .run();
  return made;
}

std::optional<Json> call_experiments(Database& database, const std::string& artifact_root, const std::string& action,
                                     const Json& request) {
  if (action == "get") return Json{{"experiment", to_json(database, existing(database, request))}};
  if (action == "get-by-name") {
    const std::string name = text_field(request, "experiment_name");
    const auto found = find_experiment(database, "name", name);
    if (!found) throw NotFound("mlflow: Could not find experiment with name '" + name + "'");
    return Json{{"experiment", to_json(database, *found)}};
  }
  if (action == "search") {
    const Page page = search_experiments(database, query_of(request, "view_type"));
    Json found = Json::array();
    for (const std::string& id : page.ids)
      found.push_back(to_json(database, *find_experiment(database, "experiment_id", experiment_number(id))));
    return Json{{"experiments", std::move(found)}, {"next_page_token", page.next_page_token}};
  }
  if (action == "create") return create(database, artifact_root, request);
  if (action == "update") rename(database, request);
  else if (action == "delete") set_stage(database, request, "active", "deleted");
  else if (action == "restore") set_stage(database, request, "deleted", "active");
  else if (action == "set-experiment-tag") set_tag(database, active(database, request).id, request);
  else if (action == "delete-experiment-tag") delete_tag(database, request);
  else return std::nullopt;
  return Json::object();
}

}  // namespace trainhost::track
