// model_versions, model_version_tags.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/local_models.h"
#include "host/track/local_registry.h"
#include "host/track/record.h"
#include "host/track/request.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

constexpr char kVersionsTag[] = "mlflow.modelVersions";
constexpr std::array kStages = {"None", "Staging", "Production", "Archived"};

std::string stage_of(const std::string& text) {
  const auto equal = [&](std::string_view stage) {
    return std::equal(stage.begin(), stage.end(), text.begin(), text.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
  };
  for (const char* stage : kStages)
    if (equal(stage)) return stage;
  throw_usage("mlflow: Invalid Model Version stage: " + text +
              ". Value must be one of None, Staging, Production, Archived.");
}

struct Version {
  std::string name;
  int64_t number = 0;
};

Version existing(Database& database, const Json& request) {
  Version version{existing_model(database, request), integer_field(request, "version")};
  read_version(database, version.name, version.number);
  return version;
}

Json answer_of(Database& database, const Version& version) {
  return {{"model_version", read_version(database, version.name, version.number)}};
}

std::string storage_of(Database& database, const Version& version) {
  Statement row(database,
                "SELECT coalesce(storage_location, source) FROM model_versions WHERE name = ? AND version = ?");
  return row.bind(version.name, version.number).step() ? row.text(0) : "";
}

void set_tag(Database& database, const Version& version, const Json& tag) {
  check_registry_tag(tag);
  Statement(database, "INSERT OR REPLACE INTO model_version_tags (key, value, name, version) VALUES (?, ?, ?, ?)")
      .bind(text_field(tag, "key"), clean_utf8(text_field(tag, "value")), version.name, version.number)
      .run();
}

// Where the files of a source are, and the run that it is of: "models:/<model_id>", "models:/<name>/<version>", a path.
ModelPlace place_of(Database& database, const std::string& source) {
  const std::string what = source.starts_with("models:/") ? source.substr(8) : "";
  if (what.empty()) return {source, ""};
  const size_t slash = what.find('/');
  if (slash == std::string::npos) {
    if (auto found = find_model(database, what)) return *std::move(found);
    throw NotFound("mlflow: Unable to fetch model from model URI source artifact location '" + source +
                   "'. Error: Logged model with ID '" + what + "' not found.");
  }
  const Json request = {{"name", what.substr(0, slash)}, {"version", what.substr(slash + 1)}};
  return {storage_of(database, existing(database, request)), ""};
}

// The tag of a LoggedModel that names its versions.
void note_version(Database& database, const std::string& model_id, const Version& version) {
  const Json model = call_models(database, "GET", model_id, {})->at("model").at("info");
  Json versions = Json::array();
  for (const Json& tag : model.at("tags"))
    if (tag.at("key") == kVersionsTag) versions = Json::parse(tag.at("value").get<std::string>(), nullptr, false);
  if (!versions.is_array()) versions = Json::array();
  versions.push_back({{"name", version.name}, {"version", version.number}});
  set_model_tags(database, model_id, Json::array({{{"key", kVersionsTag}, {"value", versions.dump()}}}));
}

Json create(Database& database, const Json& request) {
  Version version{existing_model(database, request)};
  const std::string source = text_field(request, "source");
  if (source.empty()) throw_usage("mlflow: Missing value for required parameter 'source'.");
  const ModelPlace place = place_of(database, source);
  std::string run = text_field(request, "run_id");
  if (run.empty()) run = place.source_run_id;
  const std::string model = text_field(request, "model_id");
  const auto found = model.empty() ? std::nullopt : find_model(database, model);
  if (run.empty() && found) run = found->source_run_id;
  Statement next(database, "SELECT coalesce(max(version), 0) + 1 FROM model_versions WHERE name = ?");
  next.bind(version.name).step();
  version.number = next.integer(0);
  next.reset();
  const int64_t now = now_ms();
  Statement(database,
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, user_id, "
            "current_stage, source, run_id, status, status_message, run_link, storage_location) "
            "VALUES (?, ?, ?, ?, nullif(?, ''), NULL, 'None', ?, nullif(?, ''), 'READY', NULL, nullif(?, ''), ?)")
      .bind(version.name, version.number, now, now, clean_utf8(text_field(request, "description")), source, run,
            text_field(request, "run_link"), place.artifact_location)
      .run();
  for (const Json& tag : list_field(request, "tags")) set_tag(database, version, tag);
  if (found) note_version(database, model, version);
  touch_model(database, version.name);
  return answer_of(database, version);
}

Json update(Database& database, const Json& request) {
  const Version version = existing(database, request);
  Statement(database, "UPDATE model_versions SET description = ?, last_updated_time = ? WHERE name = ? AND version = ?")
      .bind(clean_utf8(text_field(request, "description")), now_ms(), version.name, version.number)
      .run();
  return answer_of(database, version);
}

Json transition(Database& database, const Json& request) {
  const std::string stage = stage_of(text_field(request, "stage"));
  const bool archives = request.value("archive_existing_versions", false);
  if (archives && stage != "Staging" && stage != "Production")
    throw_usage("mlflow: Model version transition cannot archive existing model versions because '" +
                text_field(request, "stage") + "' is not an Active stage. Valid stages are ['Staging', 'Production']");
  const Version version = existing(database, request);
  const int64_t now = now_ms();
  if (archives)
    Statement(database,
              "UPDATE model_versions SET current_stage = 'Archived', last_updated_time = ? "
              "WHERE name = ? AND version != ? AND current_stage = ?")
        .bind(now, version.name, version.number, stage)
        .run();
  Statement(database,
            "UPDATE model_versions SET current_stage = ?, last_updated_time = ? WHERE name = ? AND version = ?")
      .bind(stage, now, version.name, version.number)
      .run();
  touch_model(database, version.name);
  return answer_of(database, version);
}

// A number is never given twice: what stays is an empty row.
void remove(Database& database, const Version& version) {
  Statement(database, "DELETE FROM registered_model_aliases WHERE name = ? AND version = ?")
      .bind(version.name, version.number)
      .run();
  Statement(database,
            "UPDATE model_versions SET current_stage = 'Deleted_Internal', last_updated_time = ?, description = NULL, "
            "user_id = NULL, source = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', "
            "run_link = 'REDACTED-RUN-LINK', status_message = NULL WHERE name = ? AND version = ?")
      .bind(now_ms(), version.name, version.number)
      .run();
  touch_model(database, version.name);
}

Json search(Database& database, const Json& request) {
  Query query = query_of(request, "view_type");
  query.max_results = integer_field(request, "max_results", 10'000);
  const Page page = search_model_versions(database, query);
  Statement row(database, "SELECT name, version FROM model_versions WHERE rowid = ?");
  Json found = Json::array();
  for (const std::string& id : page.ids)
    if (row.bind(static_cast<int64_t>(std::stoll(id))).step())
      found.push_back(read_version(database, row.text(0), row.integer(1)));
  return {{"model_versions", std::move(found)}, {"next_page_token", page.next_page_token}};
}

}  // namespace

Json read_version(Database& database, const std::string& name, int64_t version) {
  Statement row(database,
                "SELECT creation_time, last_updated_time, current_stage, source, status, description, user_id, run_id, "
                "run_link, status_message FROM model_versions WHERE name = ? AND version = ? AND "
                "current_stage != 'Deleted_Internal'");
  if (!row.bind(name, version).step())
    throw NotFound("mlflow: Model Version (name=" + name + ", version=" + std::to_string(version) + ") not found");
  Statement tags(database, "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ? ORDER BY key");
  Json result = {{"name", name},
                 {"version", std::to_string(version)},
                 {"creation_timestamp", row.integer(0)},
                 {"last_updated_timestamp", row.integer(1)},
                 {"current_stage", row.text(2)},
                 {"source", row.text(3)},
                 {"status", row.is_null(4) ? "READY" : row.text(4)},
                 {"tags", read_tags(tags.bind(name, version))},
                 {"aliases", Json::array()}};
  int column = 5;
  for (const char* field : {"description", "user_id", "run_id", "run_link", "status_message"}) {
    if (!row.is_null(column)) result[field] = row.text(column);
    ++column;
  }
  Statement aliases(database,
                    "SELECT alias FROM registered_model_aliases WHERE name = ? AND version = ? ORDER BY alias");
  aliases.bind(name, version);
  while (aliases.step()) result["aliases"].push_back(aliases.text(0));
  return result;
}

Json latest_versions(Database& database, const std::string& name, const std::vector<std::string>& stages) {
  std::vector<std::string> wanted;
  for (const std::string& stage : stages) wanted.push_back(stage_of(stage));
  Statement rows(database,
                 "SELECT current_stage, max(version) FROM model_versions WHERE name = ? AND "
                 "current_stage != 'Deleted_Internal' GROUP BY current_stage ORDER BY 2");
  Json found = Json::array();
  rows.bind(name);
  while (rows.step())
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), rows.text(0)) != wanted.end())
      found.push_back(read_version(database, name, rows.integer(1)));
  return found;
}

std::optional<Json> call_model_versions(Database& database, const std::string& action, const Json& request) {
  if (action == "get") return answer_of(database, existing(database, request));
  if (action == "search") return search(database, request);
  if (action == "get-download-uri") return Json{{"artifact_uri", storage_of(database, existing(database, request))}};
  Transaction transaction(database);
  Json answer = Json::object();
  if (action == "create") answer = create(database, request);
  else if (action == "update") answer = update(database, request);
  else if (action == "transition-stage") answer = transition(database, request);
  else if (action == "delete") remove(database, existing(database, request));
  else if (action == "set-tag") set_tag(database, existing(database, request), request);
  else if (action == "delete-tag") {
    const Version version = existing(database, request);
    Statement(database, "DELETE FROM model_version_tags WHERE name = ? AND version = ? AND key = ?")
        .bind(version.name, version.number, text_field(request, "key"))
        .run();
  } else {
    return std::nullopt;
  }
  transaction.commit();
  return answer;
}

}  // namespace trainhost::track
