// Experiments and runs as JSON.
#include "host/track/rest_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/track/metric_json.h"
#include "host/track/request.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr auto kPatience = std::chrono::milliseconds(30'000);
constexpr const char* kNone = "RESOURCE_DOES_NOT_EXIST";

std::string text(const Json& from, const char* name) {
  const auto found = from.find(name);
  if (found == from.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// int64 comes as a number or as a string.
int64_t integer(const Json& from, const char* name) {
  const std::string digits = text(from, name);
  return digits.empty() ? 0 : std::strtoll(digits.c_str(), nullptr, 10);
}

Experiment experiment_of(const Json& from) {
  return {integer(from, "experiment_id"),  text(from, "name"),
          text(from, "artifact_location"), text(from, "lifecycle_stage"),
          integer(from, "creation_time"),  integer(from, "last_update_time")};
}

Metric metric_of(const Json& from) {
  return {text(from, "key"), metric_value(from.value("value", Json())), integer(from, "step"),
          integer(from, "timestamp")};
}

const Json& list(const Json& from, const char* name) {
  static const Json none = Json::array();
  const auto found = from.find(name);
  return found != from.end() && found->is_array() ? *found : none;
}

const Json& object(const Json& from, const char* name) {
  static const Json none = Json::object();
  const auto found = from.find(name);
  return found != from.end() && found->is_object() ? *found : none;
}

// MLflow itself says no to what was asked. All else (nobody there, 401 ...) is told by the sender: a script that starts
// a run is not ended for it.
bool is_wrong_use(const ServerError& e) { return !e.is_passing() && !e.code().empty(); }

// A link that is made twice, as it is when an answer was lost: MLflow tells of its database.
bool is_linked_already(const std::string& call, const ServerError& e) {
  return call == "runs/outputs" && (e.message().find("UNIQUE constraint") != std::string::npos ||
                                    e.message().find("unique constraint") != std::string::npos);
}

thread_local const std::function<bool()>* stop_asked = nullptr;

Server::Stop stop() { return stop_asked ? *stop_asked : Server::Stop(); }

}  // namespace

StopAsked::StopAsked(std::function<bool()> stop) : stop_(std::move(stop)), before_(stop_asked) { stop_asked = &stop_; }
StopAsked::~StopAsked() { stop_asked = before_; }

RestStore::RestStore(ServerOptions options, std::shared_ptr<RemoteRuns> runs)
    : server_(std::move(options)), runs_(std::move(runs)), url_(server_.options().url) {}

template <class Ask>
auto RestStore::patiently(Ask ask, bool makes) {
  const auto until = Clock::now() + kPatience;
  server_.set_deadline(until);
  for (int attempt = 1;; ++attempt) {
    try {
      return ask();
    } catch (const ServerError& e) {
      const auto pause = server_.pause(attempt, e);
      if (!e.is_passing() || (makes && e.code() != kUnreached) || attempt > server_.options().max_retries ||
          Clock::now() + pause > until)
        throw;
      for (const auto end = Clock::now() + pause; Clock::now() < end;) {
        if (stop_asked && (*stop_asked)()) throw Error(ErrorKind::interrupted, "interrupted");
        std::this_thread::sleep_for(std::min<Clock::duration>(end - Clock::now(), std::chrono::milliseconds(50)));
      }
    }
  }
}

template <class Ask>
auto RestStore::quickly(std::chrono::milliseconds limit, Ask ask) {
  server_.set_deadline(Clock::now() + limit);
  return ask();
}

std::optional<Experiment> RestStore::find_experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  try {
    return patiently([&] {
      const Experiment found = experiment_of(
          object(server_.get("experiments/get-by-name", {{"experiment_name", name}}, stop()), "experiment"));
      return std::optional(experiments_[found.id] = found);
    });
  } catch (const ServerError& e) {
    if (e.code() == kNone) return std::nullopt;
    throw;
  }
}

std::optional<Experiment> RestStore::find_experiment(int64_t id, std::chrono::milliseconds limit) {
  std::lock_guard lock(mutex_);
  if (const auto known = experiments_.find(id); known != experiments_.end()) return known->second;
  if (id < 0) return std::nullopt;
  if (limit.count() <= 0) return Experiment{id, "", "", "active"};
  try {
    return quickly(limit, [&] {
      const Experiment found = experiment_of(
          object(server_.get("experiments/get", {{"experiment_id", std::to_string(id)}}, stop()), "experiment"));
      return std::optional(experiments_[id] = found);
    });
  } catch (const ServerError& e) {
    if (e.code() == kNone) return std::nullopt;
    if (is_wrong_use(e)) throw;
    return Experiment{id, "", "", "active"};
  }
}

Experiment RestStore::experiment(const std::string& name) {
  std::lock_guard lock(mutex_);
  try {
    return quickly(kQuick, [&] {
      for (const bool again : {false, true}) {
        try {
          const Json found = server_.get("experiments/get-by-name", {{"experiment_name", name}}, stop());
          const Experiment experiment = experiment_of(object(found, "experiment"));
          return experiments_[experiment.id] = experiment;
        } catch (const ServerError& e) {
          if (again || e.code() != kNone) throw;
        }
        try {
          server_.post("experiments/create", {{"name", name}}, stop());
        } catch (const ServerError& e) {
          if (e.code() != "RESOURCE_ALREADY_EXISTS") throw;  // another process was first
        }
      }
      throw Error(ErrorKind::internal, "mlflow: not reached");
    });
  } catch (const ServerError& e) {
    if (is_wrong_use(e)) throw;
  }
  for (const auto& [id, known] : experiments_)
    if (id < 0 && known.name == name) return known;
  const int64_t id = experiments_.empty() ? -1 : std::min<int64_t>(experiments_.begin()->first, 0) - 1;
  return experiments_[id] = Experiment{id, name, "", "active"};
}

Json RestStore::run_of(const std::string& run_id) {
  try {
    const Json answer = patiently([&] { return server_.get("runs/get", {{"run_id", run_id}}, stop()); });
    return object(answer, "run");
  } catch (const ServerError& e) {
    if (e.code() == kNone) return nullptr;
    throw;
  }
}

// A run that began while its server was away has another id there than here, which nobody knows any more once its spool
// is gone: the server has it as a tag.
Json RestStore::run_made_for(const std::string& local) {
  if (local.size() != 32 || local.find_first_not_of("0123456789abcdef") != std::string::npos) return nullptr;
  const std::string filter = std::string("tags.`") + kLocalIdTag + "` = '" + local + "'";
  Json asked = {{"max_results", 1000}};
  try {
    do {
      const Json page = patiently([&] { return server_.post("experiments/search", asked, stop()); });
      Json ids = Json::array();
      for (const Json& experiment : list(page, "experiments")) ids.push_back(text(experiment, "experiment_id"));
      if (ids.empty()) break;
      const Json search = {{"experiment_ids", std::move(ids)}, {"filter", filter}, {"max_results", 1}};
      const Json found = patiently([&] { return server_.post("runs/search", search, stop()); });
      if (const Json& runs = list(found, "runs"); !runs.empty()) return runs[0];
      asked["page_token"] = text(page, "next_page_token");
    } while (asked["page_token"] != "");
  } catch (const ServerError& e) {
    if (!is_wrong_use(e)) throw;
  }
  return nullptr;
}

std::optional<StoredRun> RestStore::find_run(const std::string& run_id) {
  std::lock_guard lock(mutex_);
  const std::string id = runs_->id_of(run_id);
  Json found = run_of(id);
  if (found.is_null() && id == run_id) found = run_made_for(run_id);
  if (found.is_null()) return std::nullopt;
  const Json &info = object(found, "info"), &data = object(found, "data");
  StoredRun run;
  run.info = {text(info, "run_id"),           text(info, "run_name"),      text(info, "user_id"),
              text(info, "status"),           text(info, "artifact_uri"),  text(info, "lifecycle_stage"),
              integer(info, "experiment_id"), integer(info, "start_time"), integer(info, "end_time")};
  for (const Json& metric : list(data, "metrics")) run.metrics.push_back(metric_of(metric));
  for (const Json& param : list(data, "params")) run.params[text(param, "key")] = text(param, "value");
  for (const Json& tag : list(data, "tags")) run.tags[text(tag, "key")] = text(tag, "value");
  if (const auto local = run.tags.find(kLocalIdTag); local != run.tags.end())
    runs_->add(local->second, {run.info.id, run.info.artifact_uri, run.info.experiment_id});
  return run;
}

nlohmann::json RestStore::call(const std::string& path, const Json& request) {
  std::lock_guard lock(mutex_);
  Json asked = request;
  for (const char* name : {"run_id", "source_run_id"})
    if (const auto run = asked.find(name); run != asked.end() && run->is_string())
      *run = runs_->id_of(run->get<std::string>());
  const auto [method, call] = method_of(path);
  const auto ask = [&, &method = method, &call = call] {
    if (method != "GET") return server_.post(call, asked, stop(), method.c_str());
    std::vector<std::pair<std::string, std::string>> query;
    for (const auto& [name, value] : asked.items()) {
      if (!value.is_array()) query.emplace_back(name, text(asked, name.c_str()));
      else
        for (const Json& item : value) query.emplace_back(name, item.get<std::string>());
    }
    return server_.get(call, query, stop());
  };
  try {
    return patiently(ask, call.ends_with("/create") || call == "logged-models");
  } catch (const ServerError& e) {
    if (e.code() == kNone) throw NotFound(e.message());
    if (e.code() == "INVALID_PARAMETER_VALUE") throw_usage(e.message());
    if (is_linked_already(call, e)) return Json::object();
    throw;
  }
}

std::vector<StoredArtifact> RestStore::list_artifacts(const std::string& uri, const std::string& path) {
  if (!Server::takes(uri)) return Store::list_artifacts(uri, path);
  std::lock_guard lock(mutex_);
  auto found = patiently([&] { return server_.list_artifacts(uri, path, stop()); });
  for (StoredArtifact& one : found) {
    check_artifact_path(one.path);  // it becomes a file here
    if (!path.empty()) one.path = path + "/" + one.path;
  }
  return found;
}

void RestStore::get_artifact(const std::string& uri, const std::string& path, const std::string& target) {
  if (!Server::takes(uri)) return Store::get_artifact(uri, path, target);
  std::lock_guard lock(mutex_);
  try {
    patiently([&] { server_.get_artifact(uri, path, target, stop()); });
  } catch (const ServerError& e) {
    if (e.status() == 404) throw NotFound("mlflow: No such artifact: '" + path + "'");
    throw;
  }
}

void RestStore::put_artifact(const std::string& uri, const std::string& path, const std::string& source,
                             const std::string& content) {
  if (!Server::takes(uri)) return Store::put_artifact(uri, path, source, content);
  std::lock_guard lock(mutex_);
  patiently([&] { server_.put_artifact(uri, path, source, content, stop()); });
}

}  // namespace trainhost::track
