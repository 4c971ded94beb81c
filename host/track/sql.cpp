// Comparisons of columns and of keys, and pages of rows.
#include "host/track/sql.h"

namespace trainhost::track {
namespace {

SqlValue bound(const FilterValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) return *whole;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::get<std::string>(value);
}

}  // namespace

Sql compared(const std::string& column, const Condition& condition) {
  Sql sql;
  if (const auto* items = std::get_if<std::vector<std::string>>(&condition.value)) {
    sql += column + " " + condition.comparator + " (";
    for (size_t i = 0; i < items->size(); ++i) (sql += i ? ", " : "").bind((*items)[i]);
    return sql += ")";
  }
  if (condition.comparator == "ILIKE") {
    (sql += "lower(" + column + ") LIKE lower(").bind(bound(condition.value));
    return sql += ")";
  }
  return (sql += column + " " + condition.comparator + " ").bind(bound(condition.value));
}

Sql keyed_condition(const Condition& condition, const std::string& table, const std::string& link,
                    const std::string& prefix) {
  Sql sql;
  if (condition.comparator == "IS NULL") sql += "NOT ";
  (sql += "EXISTS (SELECT 1 FROM " + table + " e WHERE " + link + " AND e." + prefix + "key = ").bind(condition.key);
  if (!std::holds_alternative<std::monostate>(condition.value)) {
    (sql += " AND (") += compared("e." + prefix + "value", condition);
    // NaN is stored as 0 beside a mark; it differs from every number and compares with none.
    if (condition.entity == Entity::metric) sql += condition.comparator == "!=" ? " OR e.is_nan" : " AND NOT e.is_nan";
    sql += ")";
  }
  return sql += ")";
}

void check_count(const Query& query, int64_t most) {
  const std::string where =
      "mlflow: Invalid value " + std::to_string(query.max_results) + " for parameter 'max_results' supplied. ";
  if (query.max_results < 1) throw_usage(where + "It must be a positive integer");
  if (query.max_results > most) throw_usage(where + "It must be at most " + std::to_string(most));
}

Page page_of(Database& database, Sql sql, const Query& query) {
  const int64_t offset = offset_of(query.page_token);
  (sql += " LIMIT ").bind(query.max_results + 1);
  (sql += " OFFSET ").bind(offset);
  Statement rows(database, sql.text.c_str());
  rows.bind_all(sql.values);
  Page page;
  while (rows.step()) page.ids.push_back(rows.text(0));
  if (static_cast<int64_t>(page.ids.size()) > query.max_results) {
    page.ids.pop_back();
    page.next_page_token = page_token(offset + query.max_results);
  }
  return page;
}

}  // namespace trainhost::track
