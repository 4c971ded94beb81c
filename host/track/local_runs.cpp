// Rows of runs as MLflow's JSON, and what a client changes of them.
#include "host/track/local_runs.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/inputs.h"
#include "host/track/local_experiments.h"
#include "host/track/local_models.h"
#include "host/track/metric_json.h"
#include "host/track/record.h"
#include "host/track/request.h"
#include "host/track/rows.h"
#include "host/track/source.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

Json to_json(const Metric& metric) {
  return {{"key", metric.key},
          {"value", metric_json(metric.value)},
          {"timestamp", metric.timestamp},
          {"step", metric.step}};
}

Json to_json(const std::map<std::string, std::string>& values) {
  Json list = Json::array();
  for (const auto& [key, value] : values) list.push_back({{"key", key}, {"value", value}});
  return list;
}

// Models that a run has read or made: LoggedModels, by their ids.
Json models(Database& database, const std::string& run, const char* from, const char* to) {
  Json list = Json::array();
  Statement rows(database,
                 "SELECT destination_id, step FROM inputs WHERE source_type = ? AND source_id = ? AND "
                 "destination_type = ? ORDER BY rowid");
  rows.bind(from, run, to);
  while (rows.step()) list.push_back({{"model_id", rows.text(0)}, {"step", rows.integer(1)}});
  return list;
}

Json to_json(Database& database, const StoredRun& run) {
  const RunInfo& i = run.info;
  Json info = {{"run_id", i.id},
               {"run_name", i.name},
               {"experiment_id", std::to_string(i.experiment_id)},
               {"user_id", i.user},
               {"status", i.status},
               {"start_time", i.start_time},
               {"artifact_uri", i.artifact_uri},
               {"lifecycle_stage", i.lifecycle_stage}};
  if (i.end_time) info["end_time"] = i.end_time;
  Json metrics = Json::array();
  for (const Metric& metric : run.metrics) metrics.push_back(to_json(metric));
  return {{"info", std::move(info)},
          {"data", {{"metrics", std::move(metrics)}, {"params", to_json(run.params)}, {"tags", to_json(run.tags)}}},
          {"inputs",
           {{"dataset_inputs", read_inputs(database, i.id)},
            {"model_inputs", models(database, i.id, "RUN_INPUT", "MODEL_INPUT")}}},
          {"outputs", {{"model_outputs", models(database, i.id, "RUN_OUTPUT", "MODEL_OUTPUT")}}}};
}

StoredRun existing(Database& database, const Json& request) {
  const std::string id = text_field(request, "run_id");
  auto run = read_run(database, id);
  if (!run) throw NotFound("mlflow: Run with id=" + id + " not found");
  return *std::move(run);
}

StoredRun active(Database& database, const Json& request) {
  StoredRun run = existing(database, request);
  if (run.info.lifecycle_stage != "active")
    throw_usage("mlflow: The run " + run.info.id + " must be in the 'active' state. Current state is " +
                run.info.lifecycle_stage + ".");
  return run;
}

Record record_of(RecordKind kind, const std::string& run, std::string key, std::string value) {
  Record record;
  record.kind = kind;
  record.run = run;
  record.key = std::move(key);
  record.value = std::move(value);
  record.timestamp = now_ms();
  return record;
}

Record keyed(RecordKind kind, const std::string& run, const Json& from) {
  const bool is_param = kind == RecordKind::param;
  bool ignored;
  std::string key = text_field(from, "key");
  check_key(is_param ? "param" : "tag", key);
  return record_of(kind, run, std::move(key),
                   cut(clean_utf8(text_field(from, "value")), is_param ? kMaxParam : kMaxTag, ignored));
}

Record metric_record(const std::string& run, const Json& from) {
  Record record = record_of(RecordKind::metric, run, text_field(from, "key"), text_field(from, "model_id"));
  check_key("metric", record.key);
  const auto value = from.find("value");
  if (value == from.end() || !(value->is_number() || value->is_string()))
    throw_usage("mlflow: Got invalid value for metric '" + record.key + "': expected a number");
  record.number = metric_value(*value);
  record.step = integer_field(from, "step");
  record.timestamp = integer_field(from, "timestamp", record.timestamp);
  if (const std::string name = text_field(from, "dataset_name"); !name.empty())
    record.extra = name + "\n" + text_field(from, "dataset_digest");
  return record;
}

// Waits for the database as a script does: what cannot be stored is its error.
void store(Sink& sink, const std::vector<Record>& records) {
  std::optional<Event> refused;
  const auto report = [&](Event event) {
    if (!refused) refused = std::move(event);
  };
  std::span<const Record> rest(records);
  while (!rest.empty()) rest = rest.subspan(sink.write(rest, report));
  if (refused) throw Error(refused->kind, refused->message, refused->hint);
}

void log_batch(Database& database, Sink& sink, const Json& request) {
  const std::string run = active(database, request).info.id;
  std::vector<Record> records;
  for (const Json& metric : list_field(request, "metrics")) records.push_back(metric_record(run, metric));
  for (const Json& param : list_field(request, "params")) records.push_back(keyed(RecordKind::param, run, param));
  for (const Json& tag : list_field(request, "tags")) records.push_back(keyed(RecordKind::tag, run, tag));
  store(sink, records);
}

Json create(Database& database, Sink& sink, const Json& request) {
  const std::string id = text_field(request, "experiment_id");
  const int64_t number = experiment_number(id.empty() ? "0" : id);
  const auto experiment = find_experiment(database, "experiment_id", number);
  if (!experiment) throw NotFound("mlflow: No Experiment with id=" + id + " exists");
  if (experiment->lifecycle_stage != "active")
    throw_usage("mlflow: The experiment " + id + " must be in the 'active' state. Current state is " +
                experiment->lifecycle_stage + ".");
  std::vector<Record> records(1);
  Record start = record_of(RecordKind::start_run, new_id(), clean_utf8(text_field(request, "run_name")), "");
  std::string tagged;
  for (const Json& tag : list_field(request, "tags")) {
    records.push_back(keyed(RecordKind::tag, start.run, tag));
    if (records.back().key == "mlflow.runName") tagged = records.back().value;
  }
  if (!start.key.empty() && !tagged.empty() && start.key != tagged)
    throw_usage(
        "mlflow: Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
        "(run_name='" +
        start.key + "', mlflow.runName='" + tagged + "').");
  if (start.key.empty()) start.key = tagged.empty() ? random_run_name() : tagged;
  if (tagged.empty()) records.push_back(record_of(RecordKind::tag, start.run, "mlflow.runName", start.key));
  start.value = experiment->artifact_location + "/" + start.run + "/artifacts";
  start.extra = text_field(request, "user_id");
  start.step = number;
  start.timestamp = integer_field(request, "start_time", start.timestamp);
  const std::string run = start.run;
  records.front() = std::move(start);
  store(sink, records);
  return {{"run", to_json(database, *read_run(database, run))}};
}

Json update(Database& database, Sink& sink, const Json& request) {
  static constexpr std::array<std::string_view, 5> kStatuses = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};
  const std::string id = active(database, request).info.id, status = text_field(request, "status");
  if (!status.empty() && std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end())
    throw_usage("mlflow: Could not get run status corresponding to string " + status +
                ". Valid run status strings: RUNNING, SCHEDULED, FINISHED, FAILED, KILLED");
  if (const std::string name = clean_utf8(text_field(request, "run_name")); !name.empty())
    store(sink, {record_of(RecordKind::tag, id, "mlflow.runName", name)});
  Statement(database,
            "UPDATE runs SET status = coalesce(nullif(?, ''), status), end_time = coalesce(nullif(?, 0), end_time) "
            "WHERE run_uuid = ?")
      .bind(status, integer_field(request, "end_time"), id)
      .run();
  return {{"run_info", to_json(database, *read_run(database, id))["info"]}};
}

void set_stage(Database& database, const std::string& run, const char* stage) {
  Statement(database,
            "UPDATE runs SET lifecycle_stage = ?1, deleted_time = CASE ?1 WHEN 'deleted' THEN ?2 END "
            "WHERE run_uuid = ?3")
      .bind(stage, now_ms(), run)
      .run();
}

Json search(Database& database, const Json& request) {
  std::vector<int64_t> experiments;
  for (const std::string& id : texts_field(request, "experiment_ids")) experiments.push_back(experiment_number(id));
  const Page page = search_runs(database, experiments, query_of(request, "run_view_type"));
  Json runs = Json::array();
  for (const std::string& id : page.ids) runs.push_back(to_json(database, *read_run(database, id)));
  return {{"runs", std::move(runs)}, {"next_page_token", page.next_page_token}};
}

void delete_tag(Database& database, Sink& sink, const Json& request) {
  const StoredRun run = active(database, request);
  const std::string key = text_field(request, "key");
  if (!run.tags.contains(key)) throw NotFound("mlflow: No tag with name: " + key + " in run with id " + run.info.id);
  store(sink, {record_of(RecordKind::delete_tag, run.info.id, key, "")});
}

}  // namespace

std::optional<StoredRun> read_run(Database& database, const std::string& run_id) {
  StoredRun run;
  Statement info(database, (std::string("SELECT ") + kRunColumns + " FROM runs WHERE run_uuid = ?").c_str());
  if (!info.bind(run_id).step()) return std::nullopt;
  run.info = run_of(info);
  Statement metrics(
      database,
      (std::string("SELECT ") + kMetricColumns + " FROM latest_metrics WHERE run_uuid = ? ORDER BY key").c_str());
  metrics.bind(run_id);
  while (metrics.step()) run.metrics.push_back(metric_of(metrics));
  Statement params(database, "SELECT key, value FROM params WHERE run_uuid = ?");
  params.bind(run_id);
  while (params.step()) run.params[params.text(0)] = params.text(1);
  Statement tags(database, "SELECT key, value FROM tags WHERE run_uuid = ?");
  tags.bind(run_id);
  while (tags.step()) run.tags[tags.text(0)] = tags.text(1);
  // Runs of old MLflows have their name as a tag alone.
  if (const auto name = run.tags.find("mlflow.runName"); run.info.name.empty() && name != run.tags.end())
    run.info.name = name->second;
  return run;
}

Json metric_history(Database& database, const Json& request) {
  const std::string run = text_field(request, "run_id");
  const int64_t most = integer_field(request, "max_results", -1);
  const int64_t offset = offset_of(text_field(request, "page_token"));
  Json points = Json::array();
  Statement rows(database, (std::string("SELECT ") + kMetricColumns +
                            " FROM metrics WHERE run_uuid = ? AND key = ? "
                            "ORDER BY timestamp, step, value LIMIT ? OFFSET ?")
                               .c_str());
  rows.bind(run, text_field(request, "metric_key"), most < 0 ? most : most + 1, offset);
  while (rows.step()) points.push_back(to_json(metric_of(rows)));
  std::string next;
  if (most >= 0 && static_cast<int64_t>(points.size()) > most) {
    points.erase(points.size() - 1);
    next = page_token(offset + most);
  }
  return {{"metrics", std::move(points)}, {"next_page_token", next}};
}

std::optional<Json> call_runs(Database& database, Sink& sink, const std::string& action, const Json& request) {
  if (action == "get") return Json{{"run", to_json(database, existing(database, request))}};
  if (action == "search") return search(database, request);
  if (action == "create") return create(database, sink, request);
  if (action == "update") return update(database, sink, request);
  if (action == "delete") set_stage(database, existing(database, request).info.id, "deleted");
  else if (action == "restore") set_stage(database, existing(database, request).info.id, "active");
  else if (action == "log-batch") log_batch(database, sink, request);
  else if (action == "set-tag") store(sink, {keyed(RecordKind::tag, active(database, request).info.id, request)});
  else if (action == "delete-tag") delete_tag(database, sink, request);
  else if (action == "outputs")
    link_outputs(database, active(database, request).info.id, list_field(request, "models"));
  else if (action == "log-inputs")
    store(sink, {record_of(RecordKind::inputs, active(database, request).info.id, "",
                           list_field(request, "datasets").dump())});
  else return std::nullopt;
  return Json::object();
}

}  // namespace trainhost::track
