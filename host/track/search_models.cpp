// Registered models, their versions and LoggedModels: MLflow's filters and orders of each.
#include <set>

#include "host/track/search.h"
#include "host/track/sql.h"

namespace trainhost::track {
namespace {

constexpr int64_t kMostModels = 1000, kMostVersions = 200'000, kMostLoggedModels = 50'000;

// A prompt is a registered model with a mark; it is found by those alone who ask for prompts.
constexpr char kPrompt[] = "mlflow.prompt.is_prompt";

std::string column_of(const std::string& attribute) {
  if (attribute == "version_number") return "v.version";
  if (attribute == "source_path") return "v.source";
  if (attribute == "creation_timestamp") return "v.creation_time";
  if (attribute == "last_updated_timestamp") return "v.last_updated_time";
  return "v." + attribute;
}

// Both tables of the registry: `tags` is that of the keys, `link` ties its row e to the row v.
Page search_registry(Database& database, Query query, Searched searched, const char* select, const char* tags,
                     const std::string& link) {
  Sql sql;
  sql += select;
  bool of_prompts = false;
  for (const Condition& condition : parse_filter(query.filter, searched)) {
    const auto* text = std::get_if<std::string>(&condition.value);
    if (condition.entity == Entity::tag && condition.key == kPrompt && text) {
      of_prompts = (condition.comparator == "=") == (*text == "true");
      continue;
    }
    (sql += " AND ") += condition.entity == Entity::tag ? keyed_condition(condition, tags, link)
                                                        : compared(column_of(condition.key), condition);
  }
  sql += std::string(of_prompts ? " AND" : " AND NOT") + " EXISTS (SELECT 1 FROM " + tags + " e WHERE " + link +
         " AND e.key = '" + kPrompt + "' AND e.value = 'true') ORDER BY ";
  std::set<std::string> seen;
  for (const std::string& text : query.order_by) {
    const Order order = parse_order(text, searched);
    if (!seen.insert(order.key).second) throw_usage("mlflow: `order_by` contains duplicate fields: " + text);
    sql += column_of(order.key) + (order.is_ascending ? ", " : " DESC, ");
  }
  sql += searched == Searched::registered_models ? "v.name" : "v.name, v.version DESC";
  return page_of(database, std::move(sql), query);
}

Sql model_attribute(const Condition& condition) {
  if (condition.key.starts_with("creation_time")) return compared("m.creation_timestamp_ms", condition);
  if (condition.key.starts_with("last_updated")) return compared("m.last_updated_timestamp_ms", condition);
  if (condition.key == "status")
    return compared("CASE m.status WHEN 1 THEN 'PENDING' WHEN 2 THEN 'READY' WHEN 3 THEN 'FAILED' END", condition);
  return compared("m." + condition.key, condition);
}

Sql of_datasets(const std::vector<std::pair<std::string, std::string>>& datasets) {
  Sql sql;
  for (const auto& [name, digest] : datasets) {
    (sql += sql.text.empty() ? "((e.dataset_name = " : " OR (e.dataset_name = ").bind(name);
    if (!digest.empty()) (sql += " AND e.dataset_digest = ").bind(digest);
    sql += ")";
  }
  return sql += ")";
}

// A point of the model that fits, on one of the datasets if there are any. `condition` null: any point.
Sql model_metric(const Condition* condition, const ModelQuery& models) {
  Sql sql;
  sql += "EXISTS (SELECT 1 FROM logged_model_metrics e WHERE e.model_id = m.model_id";
  if (condition) {
    (sql += " AND e.metric_name = ").bind(condition->key);
    (sql += " AND ") += compared("e.metric_value", *condition);
  }
  if (!models.datasets.empty()) (sql += " AND ") += of_datasets(models.datasets);
  return sql += ")";
}

// The value that a model is sorted by.
Sql sort_key(const ModelOrder& order) {
  static const std::set<std::string> columns = {"model_id",
                                                "experiment_id",
                                                "name",
                                                "artifact_location",
                                                "status",
                                                "model_type",
                                                "source_run_id",
                                                "creation_timestamp_ms",
                                                "last_updated_timestamp_ms",
                                                "lifecycle_stage",
                                                "status_message"};
  Sql sql;
  if (order.field.find('.') == std::string::npos) {
    std::string name = order.field;
    if (name == "creation_time" || name == "creation_timestamp") name = "creation_timestamp_ms";
    if (name == "last_updated_timestamp") name = "last_updated_timestamp_ms";
    if (!columns.contains(name)) throw_usage("mlflow: Invalid order by field name: " + order.field);
    return sql += "m." + name;
  }
  if (!order.field.starts_with("metrics."))
    throw_usage("mlflow: Invalid order by field name: " + order.field + ". Only metrics are supported.");
  (sql += "(SELECT e.metric_value FROM logged_model_metrics e WHERE e.model_id = m.model_id AND e.metric_name = ")
      .bind(order.field.substr(8));
  if (!order.dataset_name.empty()) (sql += " AND e.dataset_name = ").bind(order.dataset_name);
  if (!order.dataset_digest.empty()) (sql += " AND e.dataset_digest = ").bind(order.dataset_digest);
  return sql += " ORDER BY e.metric_timestamp_ms DESC, e.metric_step DESC, e.run_id LIMIT 1)";
}

}  // namespace

Page search_registered_models(Database& database, const Query& query) {
  check_count(query, kMostModels);
  return search_registry(database, query, Searched::registered_models, "SELECT v.name FROM registered_models v WHERE 1",
                         "registered_model_tags", "e.name = v.name");
}

Page search_model_versions(Database& database, const Query& query) {
  check_count(query, kMostVersions);
  Query sorted = query;
  if (sorted.order_by.empty()) sorted.order_by = {"last_updated_timestamp DESC", "name ASC", "version_number DESC"};
  return search_registry(database, sorted, Searched::model_versions,
                         "SELECT v.rowid FROM model_versions v WHERE v.current_stage != 'Deleted_Internal'",
                         "model_version_tags", "e.name = v.name AND e.version = v.version");
}

Page search_logged_models(Database& database, const ModelQuery& models, const Query& query) {
  check_count(query, kMostLoggedModels);
  Sql sql;
  sql += "SELECT m.model_id FROM logged_models m WHERE m.lifecycle_stage != 'deleted' AND m.experiment_id IN (";
  for (size_t i = 0; i < models.experiments.size(); ++i) (sql += i ? ", " : "").bind(models.experiments[i]);
  sql += ")";
  bool has_metrics = false;
  for (const Condition& condition : parse_filter(query.filter, Searched::logged_models)) {
    sql += " AND ";
    if (condition.entity == Entity::metric) {
      has_metrics = true;
      sql += model_metric(&condition, models);
    } else if (condition.entity == Entity::attribute) {
      sql += model_attribute(condition);
    } else {
      const std::string what = condition.entity == Entity::tag ? "tag" : "param";
      sql += keyed_condition(condition, "logged_model_" + what + "s", "e.model_id = m.model_id", what + "_");
    }
  }
  if (!models.datasets.empty() && !has_metrics) (sql += " AND ") += model_metric(nullptr, models);
  sql += " ORDER BY ";
  bool by_time = false;
  for (const ModelOrder& order : models.order_by) {
    by_time = by_time || order.field.starts_with("creation_time");
    sql += sort_key(order);
    sql += " IS NULL, ";
    sql += sort_key(order);
    sql += order.is_ascending ? ", " : " DESC, ";
  }
  sql += by_time ? "m.model_id" : "m.creation_timestamp_ms DESC, m.model_id";
  return page_of(database, std::move(sql), query);
}

}  // namespace trainhost::track
