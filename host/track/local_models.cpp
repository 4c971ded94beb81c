// logged_models, with their params, tags and metrics.
#include "host/track/local_models.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/local_experiments.h"
#include "host/track/metric_json.h"
#include "host/track/record.h"
#include "host/track/request.h"
#include "host/track/source.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

// By the number that the table has.
constexpr std::array kStatuses = {"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY",
                                  "LOGGED_MODEL_UPLOAD_FAILED"};
constexpr int kPending = 1;

[[noreturn]] void fail_unknown(const std::string& id) {
  throw NotFound("mlflow: Logged model with ID '" + id + "' not found.");
}

Json pairs(Database& database, const char* sql, const std::string& id) {
  Json list = Json::array();
  Statement rows(database, sql);
  rows.bind(id);
  while (rows.step()) list.push_back({{"key", rows.text(0)}, {"value", rows.text(1)}});
  return list;
}

Json metrics_of(Database& database, const std::string& id) {
  Json list = Json::array();
  Statement rows(database,
                 "SELECT metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name, "
                 "dataset_digest FROM logged_model_metrics WHERE model_id = ? ORDER BY rowid");
  rows.bind(id);
  while (rows.step()) {
    Json metric = {{"key", rows.text(0)},
                   {"value", metric_json(rows.number(1))},
                   {"timestamp", rows.integer(2)},
                   {"step", rows.integer(3)},
                   {"model_id", id},
                   {"run_id", rows.text(4)}};
    if (!rows.is_null(5)) metric["dataset_name"] = rows.text(5);
    if (!rows.is_null(6)) metric["dataset_digest"] = rows.text(6);
    list.push_back(std::move(metric));
  }
  return list;
}

// `deleted`: one that is deleted is there too.
Json read(Database& database, const std::string& id, bool deleted = false) {
  Statement row(
      database,
      "SELECT experiment_id, name, creation_timestamp_ms, last_updated_timestamp_ms, artifact_location, "
      "status, model_type, source_run_id, status_message, lifecycle_stage FROM logged_models WHERE model_id = ?");
  if (!row.bind(id).step() || (!deleted && row.text(9) == "deleted")) fail_unknown(id);
  Json info = {{"model_id", id},
               {"experiment_id", std::to_string(row.integer(0))},
               {"name", row.text(1)},
               {"creation_timestamp_ms", row.integer(2)},
               {"last_updated_timestamp_ms", row.integer(3)},
               {"artifact_uri", row.text(4)},
               {"status", kStatuses.at(static_cast<size_t>(row.integer(5) & 3))}};
  int column = 6;
  for (const char* name : {"model_type", "source_run_id", "status_message"}) {
    if (!row.is_null(column)) info[name] = row.text(column);
    ++column;
  }
  info["tags"] =
      pairs(database, "SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ? ORDER BY tag_key", id);
  Json params = pairs(
      database, "SELECT param_key, param_value FROM logged_model_params WHERE model_id = ? ORDER BY param_key", id);
  return {{"info", std::move(info)}, {"data", {{"params", std::move(params)}, {"metrics", metrics_of(database, id)}}}};
}

int64_t experiment_of(Database& database, const std::string& id) {
  Statement row(database, "SELECT experiment_id FROM logged_models WHERE model_id = ?");
  if (!row.bind(id).step()) fail_unknown(id);
  return row.integer(0);
}

void add_params(Database& database, const std::string& id, const Json& params) {
  const int64_t experiment = experiment_of(database, id);
  Statement insert(
      database,
      "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES (?, ?, ?, ?)");
  Statement known(database, "SELECT param_value FROM logged_model_params WHERE model_id = ? AND param_key = ?");
  for (const Json& param : params) {
    const std::string key = text_field(param, "key"), value = clean_utf8(text_field(param, "value"));
    check_key("param", key);
    const bool exists = known.bind(id, key).step();
    if (exists && known.text(0) != value)
      throw Error(ErrorKind::tracking, "mlflow: the param '" + key + "' of model '" + id + "' has the value '" +
                                           known.text(0) + "' already, which cannot be changed to '" + value + "'");
    known.reset();
    if (!exists) insert.bind(id, experiment, key, value).run();
  }
}

Json create(Database& database, const Json& request) {
  const std::string experiment_id = text_field(request, "experiment_id");
  std::string name = clean_utf8(text_field(request, "name"));
  if (name.find_first_of("/:.%\"'") != std::string::npos)
    throw_usage("mlflow: Invalid model name ('" + name +
                "') provided. Model name must be a non-empty string and cannot contain the following characters: "
                "('/', ':', '.', '%', '\"', \"'\")");
  if (name.empty()) name = random_run_name();
  Transaction transaction(database);
  const auto experiment =
      find_experiment(database, "experiment_id", experiment_number(experiment_id.empty() ? "0" : experiment_id));
  if (!experiment) throw NotFound("mlflow: No Experiment with id=" + experiment_id + " exists");
  if (experiment->lifecycle_stage != "active")
    throw_usage("mlflow: The experiment " + experiment_id + " must be in the 'active' state. Current state is " +
                experiment->lifecycle_stage + ".");
  const std::string id = "m-" + new_id();
  const int64_t now = now_ms();
  Statement(database,
            "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "
            "last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'active', nullif(?, ''), nullif(?, ''))")
      .bind(id, experiment->id, name, experiment->artifact_location + "/models/" + id + "/artifacts", now, now,
            kPending, text_field(request, "model_type"), text_field(request, "source_run_id"))
      .run();
  add_params(database, id, list_field(request, "params"));
  set_model_tags(database, id, list_field(request, "tags"));
  transaction.commit();
  return {{"model", read(database, id)}};
}

void touch(Database& database, const std::string& id, const char* column, const SqlValue& value) {
  const std::string sql =
      std::string("UPDATE logged_models SET ") + column + " = ?, last_updated_timestamp_ms = ? WHERE model_id = ?";
  experiment_of(database, id);
  Statement(database, sql.c_str()).bind_all({value, now_ms(), id}).run();
}

Json finalize(Database& database, const std::string& id, const std::string& status) {
  for (size_t i = 1; i < kStatuses.size(); ++i) {
    if (status != kStatuses[i]) continue;
    touch(database, id, "status", static_cast<int64_t>(i));
    return {{"model", read(database, id, true)}};
  }
  throw_usage("mlflow: Invalid model status: '" + status +
              "'. Expected statuses: LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED, LOGGED_MODEL_PENDING");
}

void delete_tag(Database& database, const std::string& id, const std::string& key) {
  experiment_of(database, id);
  Statement tag(database, "DELETE FROM logged_model_tags WHERE model_id = ? AND tag_key = ? RETURNING 1");
  if (!tag.bind(id, key).step())
    throw NotFound("mlflow: No tag with key '" + key + "' found for model with ID '" + id + "'.");
  tag.run();
}

Json search(Database& database, const Json& request) {
  ModelQuery models;
  for (const std::string& id : texts_field(request, "experiment_ids"))
    models.experiments.push_back(experiment_number(id));
  for (const Json& dataset : list_field(request, "datasets")) {
    models.datasets.emplace_back(text_field(dataset, "dataset_name"), text_field(dataset, "dataset_digest"));
    if (models.datasets.back().first.empty())
      throw_usage("mlflow: `dataset_name` in the `datasets` clause must be specified.");
  }
  for (const Json& order : list_field(request, "order_by"))
    models.order_by.push_back({text_field(order, "field_name"), text_field(order, "dataset_name"),
                               text_field(order, "dataset_digest"), order.value("ascending", true)});
  Query query;
  query.filter = text_field(request, "filter");
  query.max_results = integer_field(request, "max_results", 100);
  query.page_token = text_field(request, "page_token");
  const Page page = search_logged_models(database, models, query);
  Json found = Json::array();
  for (const std::string& id : page.ids) found.push_back(read(database, id));
  return {{"models", std::move(found)}, {"next_page_token", page.next_page_token}};
}

}  // namespace

std::optional<ModelPlace> find_model(Database& database, const std::string& model_id) {
  Statement row(database,
                "SELECT artifact_location, source_run_id FROM logged_models WHERE model_id = ? AND "
                "lifecycle_stage != 'deleted'");
  if (!row.bind(model_id).step()) return std::nullopt;
  return ModelPlace{row.text(0), row.text(1)};
}

void set_model_tags(Database& database, const std::string& model_id, const Json& tags) {
  const int64_t experiment = experiment_of(database, model_id);
  Statement insert(database,
                   "INSERT OR REPLACE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) "
                   "VALUES (?, ?, ?, ?)");
  for (const Json& tag : tags) {
    check_key("tag", text_field(tag, "key"));
    insert.bind(model_id, experiment, text_field(tag, "key"), clean_utf8(text_field(tag, "value"))).run();
  }
}

void link_outputs(Database& database, const std::string& run, const Json& models) {
  Statement insert(
      database,
      "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, "
      "step) VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, ?)");
  for (const Json& model : models)
    insert.bind(new_id(), run, text_field(model, "model_id"), integer_field(model, "step")).run();
}

std::optional<Json> call_models(Database& database, const std::string& method, const std::string& path,
                                const Json& request) {
  if (path.empty()) return create(database, request);
  if (path == "search") return search(database, request);
  const size_t slash = std::min(path.find('/'), path.size());
  const std::string id = path.substr(0, slash), rest = path.substr(slash);
  if (rest.empty() && method == "GET") return Json{{"model", read(database, id)}};
  if (rest.empty() && method == "PATCH") return finalize(database, id, text_field(request, "status"));
  if (rest.empty() && method == "DELETE") {
    touch(database, id, "lifecycle_stage", "deleted");
  } else if (rest == "/params") {
    Transaction transaction(database);
    add_params(database, id, list_field(request, "params"));
    transaction.commit();
  } else if (rest == "/tags") {
    Transaction transaction(database);
    set_model_tags(database, id, list_field(request, "tags"));
    transaction.commit();
  } else if (rest.starts_with("/tags/") && method == "DELETE") {
    delete_tag(database, id, text_field(request, "tag_key"));
  } else {
    return std::nullopt;
  }
  return Json::object();
}

}  // namespace trainhost::track
