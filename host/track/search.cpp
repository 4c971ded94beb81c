// Conditions as SQL: attributes are columns, what a run has many of is looked for with EXISTS.
#include "host/track/search.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "host/track/filter.h"
#include "host/track/sql.h"

namespace trainhost::track {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const char* table_of(Entity entity) {
  return entity == Entity::metric ? "latest_metrics" : entity == Entity::param ? "params" : "tags";
}

std::string run_column(const std::string& attribute) {
  return attribute == "run_id" ? "r.run_uuid" : attribute == "run_name" ? "r.name" : "r." + attribute;
}

Sql dataset_condition(const Condition& condition) {
  Sql sql;
  sql += "EXISTS (SELECT 1 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id ";
  if (condition.key == "context")
    (sql += "JOIN input_tags t ON t.input_uuid = i.input_uuid AND t.name = 'mlflow.data.context' AND ") +=
        compared("t.value", condition);
  sql += " WHERE i.destination_id = r.run_uuid";
  if (condition.key != "context") (sql += " AND ") += compared("d." + condition.key, condition);
  return sql += ")";
}

Sql run_condition(const Condition& condition) {
  if (condition.entity == Entity::dataset) return dataset_condition(condition);
  if (condition.entity != Entity::attribute)
    return keyed_condition(condition, table_of(condition.entity), "e.run_uuid = r.run_uuid");
  if (condition.key != "run_name") return compared(run_column(condition.key), condition);
  Condition tag = condition;  // as MLflow does: old runs have their name as a tag alone
  tag.entity = Entity::tag;
  tag.key = "mlflow.runName";
  return run_condition(tag);
}

Sql experiment_condition(const Condition& condition) {
  if (condition.entity == Entity::tag)
    return keyed_condition(condition, "experiment_tags", "e.experiment_id = x.experiment_id");
  if (condition.key != "experiment_id") return compared("x." + condition.key, condition);
  // Ids are numbers in the database.
  const auto number = [](const std::string& text) {
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
      throw_usage("mlflow: Invalid experiment ID '" + text + "'");
    return std::stoll(text);
  };
  Sql sql;
  sql += "x.experiment_id " + condition.comparator + " ";
  if (const auto* items = std::get_if<std::vector<std::string>>(&condition.value)) {
    sql += "(";
    for (size_t i = 0; i < items->size(); ++i) (sql += i ? ", " : "").bind(number((*items)[i]));
    return sql += ")";
  }
  return sql.bind(number(std::get<std::string>(condition.value)));
}

std::string stages(const Query& query) {
  return query.active && query.deleted ? "IN ('active', 'deleted')" : query.active ? "= 'active'" : "= 'deleted'";
}

}  // namespace

std::string page_token(int64_t offset) {
  const std::string text = "{\"offset\": " + std::to_string(offset) + "}";
  std::string token;
  for (size_t i = 0; i < text.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) token += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return token;
}

int64_t offset_of(const std::string& token) {
  if (token.empty()) return 0;
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : std::string_view(token).substr(0, token.find('='))) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw_usage("mlflow: Invalid page token, could not base64-decode");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if ((count += 6) >= 8) text += static_cast<char>(bits >> (count -= 8) & 255);
  }
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  const auto offset = parsed.is_object() ? parsed.find("offset") : parsed.end();
  if (offset == parsed.end() || !offset->is_number_integer() || offset->get<int64_t>() < 1)
    throw_usage("mlflow: Invalid page token, it holds no offset");
  return offset->get<int64_t>();
}

Page search_runs(Database& database, const std::vector<int64_t>& experiments, const Query& query) {
  check_count(query);
  const auto conditions = parse_filter(query.filter, Searched::runs);
  Sql joins, order;
  std::set<std::pair<Entity, std::string>> seen;
  for (const std::string& text : query.order_by) {
    const auto [entity, key, is_ascending] = parse_order(text, Searched::runs);
    if (!seen.emplace(entity, key).second) throw_usage("mlflow: `order_by` contains duplicate fields: " + text);
    std::string column = run_column(key);
    if (entity != Entity::attribute) {
      const std::string name = "o" + std::to_string(seen.size());
      (joins += std::string(" LEFT JOIN ") + table_of(entity) + " " + name + " ON " + name +
                ".run_uuid = r.run_uuid AND " + name + ".key = ")
          .bind(key);
      column = name + ".value";
      if (entity == Entity::metric)
        order += "CASE WHEN " + name + ".is_nan THEN 1 WHEN " + column + " IS NULL THEN 2 ELSE 0 END, ";
    }
    if (entity != Entity::metric) order += column + " IS NULL, ";
    order += column + (is_ascending ? ", " : " DESC, ");
  }
  if (!seen.contains({Entity::attribute, "start_time"})) order += "r.start_time DESC, ";
  Sql sql;
  sql += "SELECT r.run_uuid FROM runs r";
  sql += std::move(joins);
  sql += " WHERE r.experiment_id IN (";
  for (size_t i = 0; i < experiments.size(); ++i) (sql += i ? ", " : "").bind(experiments[i]);
  sql += ") AND r.lifecycle_stage " + stages(query);
  for (const Condition& condition : conditions) (sql += " AND ") += run_condition(condition);
  sql += " ORDER BY ";
  sql += std::move(order);
  sql += "r.run_uuid";
  return page_of(database, std::move(sql), query);
}

Page search_experiments(Database& database, const Query& query) {
  check_count(query);
  Sql sql;
  sql += "SELECT x.experiment_id FROM experiments x WHERE x.lifecycle_stage " + stages(query);
  for (const Condition& condition : parse_filter(query.filter, Searched::experiments))
    (sql += " AND ") += experiment_condition(condition);
  sql += " ORDER BY ";
  bool by_id = query.order_by.empty();
  if (by_id) sql += "x.creation_time DESC, x.experiment_id";
  for (const std::string& text : query.order_by) {
    const Order order = parse_order(text, Searched::experiments);
    by_id = by_id || order.key == "experiment_id";
    sql += std::string(&text == query.order_by.data() ? "" : ", ") + "x." + order.key +
           (order.is_ascending ? "" : " DESC");
  }
  if (!by_id) sql += ", x.experiment_id DESC";
  return page_of(database, std::move(sql), query);
}

}  // namespace trainhost::track
