// registered_models, registered_model_tags, registered_model_aliases.
#include "host/track/local_registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/record.h"
#include "host/track/request.h"
#include "host/track/text.h"

// Later MLflows have a column more in the keys of these tables (workspace, with a default): rows are replaced, never
// looked for by ON CONFLICT (columns).

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostKey = 250, kMostTagValue = 5000, kMostAlias = 255;  // bytes

std::string name_field(const Json& request, const char* field) {
  std::string name = clean_utf8(text_field(request, field));
  if (name.find_first_not_of(" \t\n") == std::string::npos)
    throw_usage(std::string("mlflow: Missing value for required parameter '") + field + "'.");
  if (name.find_first_of("/:") != std::string::npos)
    throw_usage("mlflow: Invalid model name '" + name + "'. Names cannot contain '/' or ':'.");
  return name;
}

Json aliases_of(Database& database, const std::string& name) {
  Json list = Json::array();
  Statement rows(database, "SELECT alias, version FROM registered_model_aliases WHERE name = ? ORDER BY alias");
  rows.bind(name);
  while (rows.step()) list.push_back({{"alias", rows.text(0)}, {"version", std::to_string(rows.integer(1))}});
  return list;
}

Json read(Database& database, const std::string& name) {
  Statement row(database, "SELECT creation_time, last_updated_time, description FROM registered_models WHERE name = ?");
  if (!row.bind(name).step()) throw NotFound("mlflow: Registered Model with name=" + name + " not found");
  Statement tags(database, "SELECT key, value FROM registered_model_tags WHERE name = ? ORDER BY key");
  Json model = {{"name", name},
                {"creation_timestamp", row.integer(0)},
                {"last_updated_timestamp", row.integer(1)},
                {"latest_versions", latest_versions(database, name, {})},
                {"aliases", aliases_of(database, name)},
                {"tags", read_tags(tags.bind(name))}};
  if (!row.is_null(2)) model["description"] = row.text(2);
  return model;
}

bool exists(Database& database, const std::string& name) {
  return Statement(database, "SELECT 1 FROM registered_models WHERE name = ?").bind(name).step();
}

void set_tag(Database& database, const std::string& name, const Json& tag) {
  check_registry_tag(tag);
  Statement(database, "INSERT OR REPLACE INTO registered_model_tags (key, value, name) VALUES (?, ?, ?)")
      .bind(text_field(tag, "key"), clean_utf8(text_field(tag, "value")), name)
      .run();
}

Json create(Database& database, const Json& request) {
  const std::string name = name_field(request, "name"), description = clean_utf8(text_field(request, "description"));
  const int64_t now = now_ms();
  if (exists(database, name))
    throw Error(ErrorKind::tracking, "mlflow: Registered Model (name=" + name + ") already exists.");
  Statement(database,
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description) "
            "VALUES (?, ?, ?, nullif(?, ''))")
      .bind(name, now, now, description)
      .run();
  for (const Json& tag : list_field(request, "tags")) set_tag(database, name, tag);
  return {{"registered_model", read(database, name)}};
}

Json rename(Database& database, const Json& request) {
  const std::string name = existing_model(database, request), renamed = name_field(request, "new_name");
  if (renamed != name && exists(database, renamed))
    throw Error(ErrorKind::tracking, "mlflow: Registered Model (name=" + renamed + ") already exists.");
  Statement(database, "UPDATE registered_models SET name = ?, last_updated_time = ? WHERE name = ?")
      .bind(renamed, now_ms(), name)
      .run();  // what belongs to it follows: ON UPDATE CASCADE
  Statement(database, "UPDATE model_versions SET last_updated_time = ? WHERE name = ?").bind(now_ms(), renamed).run();
  return {{"registered_model", read(database, renamed)}};
}

Json update(Database& database, const Json& request) {
  const std::string name = existing_model(database, request);
  Statement(database, "UPDATE registered_models SET description = ?, last_updated_time = ? WHERE name = ?")
      .bind(clean_utf8(text_field(request, "description")), now_ms(), name)
      .run();
  return {{"registered_model", read(database, name)}};
}

void remove(Database& database, const std::string& name) {
  for (const char* table : {"model_version_tags", "model_versions", "registered_model_aliases", "registered_model_tags",
                            "registered_models"})
    Statement(database, (std::string("DELETE FROM ") + table + " WHERE name = ?").c_str()).bind(name).run();
}

std::string alias_field(const Json& request) {
  std::string alias = text_field(request, "alias");
  if (alias.empty()) throw_usage("mlflow: Registered model alias name cannot be empty.");
  const bool fits = std::all_of(alias.begin(), alias.end(),
                                [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c >= 0x80; });
  if (!fits)
    throw_usage("mlflow: Invalid alias name: '" + alias +
                "'. Names may only contain alphanumerics, underscores (_), and dashes (-).");
  if (alias.size() > kMostAlias)
    throw_usage("mlflow: 'Registered model alias name' exceeds the maximum length of 255 characters");
  return alias;
}

bool is_latest(std::string alias) {
  std::transform(alias.begin(), alias.end(), alias.begin(), [](unsigned char c) { return std::tolower(c); });
  return alias == "latest";
}

void set_alias(Database& database, const Json& request) {
  const std::string name = existing_model(database, request), alias = alias_field(request);
  if (is_latest(alias)) throw_usage("mlflow: 'latest' alias name (case insensitive) is reserved.");
  if ((alias[0] == 'v' || alias[0] == 'V') && alias.size() > 1 &&
      alias.find_first_not_of("0123456789", 1) == std::string::npos)
    throw_usage("mlflow: Version alias name '" + alias + "' is reserved.");
  const int64_t version = integer_field(request, "version");
  read_version(database, name, version);
  Statement(database, "INSERT OR REPLACE INTO registered_model_aliases (alias, version, name) VALUES (?, ?, ?)")
      .bind(alias, version, name)
      .run();
}

Json by_alias(Database& database, const Json& request) {
  const std::string name = existing_model(database, request), alias = alias_field(request);
  Statement row(database, is_latest(alias)
                              ? "SELECT max(version) FROM model_versions WHERE name = ? AND "
                                "current_stage != 'Deleted_Internal' AND ? != '' HAVING count(*) > 0"
                              : "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?");
  if (!row.bind(name, alias).step())
    throw NotFound(is_latest(alias) ? "mlflow: Latest version not found for model " + name + "."
                                    : "mlflow: Registered model alias " + alias + " not found.");
  return {{"model_version", read_version(database, name, row.integer(0))}};
}

Json search(Database& database, const Json& request) {
  Query query = query_of(request, "view_type");
  query.max_results = integer_field(request, "max_results", 100);
  const Page page = search_registered_models(database, query);
  Json found = Json::array();
  for (const std::string& name : page.ids) found.push_back(read(database, name));
  return {{"registered_models", std::move(found)}, {"next_page_token", page.next_page_token}};
}

}  // namespace

std::string existing_model(Database& database, const Json& request) {
  std::string name = name_field(request, "name");
  if (!exists(database, name)) throw NotFound("mlflow: Registered Model with name=" + name + " not found");
  return name;
}

void touch_model(Database& database, const std::string& name) {
  Statement(database, "UPDATE registered_models SET last_updated_time = ? WHERE name = ?").bind(now_ms(), name).run();
}

void check_registry_tag(const Json& tag) {
  const std::string key = text_field(tag, "key");
  check_key("tag", key);
  if (key.size() > kMostKey) throw_usage("mlflow: 'key' exceeds the maximum length of 250 characters");
  if (text_field(tag, "value").size() > kMostTagValue)
    throw_usage("mlflow: 'value' exceeds the maximum length of 5000 characters");
}

Json read_tags(Statement& rows) {
  Json tags = Json::array();
  while (rows.step()) tags.push_back({{"key", rows.text(0)}, {"value", rows.text(1)}});
  return tags;
}

std::optional<Json> call_registered_models(Database& database, const std::string& method, const std::string& action,
                                           const Json& request) {
  if (action == "search") return search(database, request);
  if (action == "get") return Json{{"registered_model", read(database, existing_model(database, request))}};
  if (action == "get-latest-versions")
    return Json{{"model_versions",
                 latest_versions(database, existing_model(database, request), texts_field(request, "stages"))}};
  if (action == "alias" && method == "GET") return by_alias(database, request);
  Transaction transaction(database);
  Json answer = Json::object();
  if (action == "create") answer = create(database, request);
  else if (action == "rename") answer = rename(database, request);
  else if (action == "update") answer = update(database, request);
  else if (action == "delete") remove(database, existing_model(database, request));
  else if (action == "set-tag") set_tag(database, existing_model(database, request), request);
  else if (action == "delete-tag")
    Statement(database, "DELETE FROM registered_model_tags WHERE name = ? AND key = ?")
        .bind(existing_model(database, request), text_field(request, "key"))
        .run();
  else if (action == "alias" && method == "DELETE")
    Statement(database, "DELETE FROM registered_model_aliases WHERE name = ? AND alias = ?")
        .bind(existing_model(database, request), alias_field(request))
        .run();
  else if (action == "alias") set_alias(database, request);
  else return std::nullopt;
  transaction.commit();
  return answer;
}

}  // namespace trainhost::track
