// A run at a server: made once, found again, ended.
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/rest_sink.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

// Note [A run that is made once]
// runs/create cannot be sent twice: each makes a run. So it carries the tag trainhost.run_id, the id that the run has
// here, and a creation that was answered by nobody (not to this process, or to one that was killed) is looked for by it
// before it is tried again. One that the server had not even begun then makes a second run: it is found and deleted
// when ours ends.

}  // namespace

void RestSink::start(const Record& r) {
  if (runs_->find(r.run)) return;
  const int64_t experiment_id = r.step < 0 ? experiment(r.value) : r.step;
  auto made = runs_->is_suspected(r.run) ? find_created(r.run, experiment_id) : std::nullopt;
  if (!made) made = create(r, experiment_id);
  runs_->acquit(r.run);
  names_[r.run] = r.key;
  artifact_uris_[r.run] = made->artifact_uri;
  runs_->add(r.run, *made);
}

RemoteRun RestSink::create(const Record& r, int64_t experiment_id) {
  const Json body = {{"experiment_id", std::to_string(experiment_id)},
                     {"run_name", r.key},
                     {"user_id", r.extra},
                     {"start_time", r.timestamp},
                     {"tags", {{{"key", kLocalIdTag}, {"value", r.run}}}}};
  if (runs_->is_suspected(r.run)) tried_twice_.insert(r.run);
  else runs_->suspect(r.run);
  Json answer;
  try {
    answer = server_.post("runs/create", body);
  } catch (const ServerError& e) {
    // Nobody was there: it cannot have come through.
    const bool is_out = e.is_passing() && e.code() != kUnreached;
    if (!is_out && !tried_twice_.contains(r.run)) runs_->acquit(r.run);
    throw;
  }
  const Json& info = answer["run"]["info"];
  if (!info.is_object() || !info.value("run_id", Json()).is_string())
    throw ServerError("mlflow: " + http::shown_url(server_.options().url) + " answers without a run", "", 200, "",
                      true);
  return {info["run_id"].get<std::string>(), info.value("artifact_uri", ""), experiment_id};
}

void RestSink::end(const Record& r) {
  const std::string id = runs_->id_of(r.run);
  if (tried_twice_.contains(r.run)) delete_twins(r.run);
  bool is_running = true;
  if (r.extra == kOrphan) {
    const Json answer = server_.get("runs/get", {{"run_id", id}});
    is_running = answer.at("run").at("info").value("status", "") == "RUNNING";
  }
  if (is_running) server_.post("runs/update", {{"run_id", id}, {"status", r.value}, {"end_time", r.timestamp}});
  tried_twice_.erase(r.run);
  names_.erase(r.run);
  artifact_uris_.erase(r.run);
}

// What the server has made for a run of here: more than one if a creation came through after it was tried again.
Json RestSink::runs_of(const std::string& local, int64_t experiment_id) {
  Json answer = server_.post("runs/search", {{"experiment_ids", {std::to_string(experiment_id)}},
                                             {"filter", std::string("tags.`") + kLocalIdTag + "` = '" + local + "'"},
                                             {"max_results", 10}});
  const auto runs = answer.find("runs");
  return runs == answer.end() ? Json::array() : std::move(*runs);
}

std::optional<RemoteRun> RestSink::find_created(const std::string& local, int64_t experiment_id) {
  const Json runs = runs_of(local, experiment_id);
  if (runs.empty()) return std::nullopt;
  const Json& info = runs[0].at("info");
  return RemoteRun{info.value("run_id", ""), info.value("artifact_uri", ""), experiment_id};
}

void RestSink::delete_twins(const std::string& local) {
  const auto mine = runs_->find(local);
  if (!mine) return;
  for (const Json& run : runs_of(local, mine->experiment_id)) {
    const std::string id = run.at("info").value("run_id", mine->id);
    const bool is_empty = !run.contains("data") || run["data"].value("metrics", Json::array()).empty();
    if (id == mine->id || !is_empty) continue;
    try {
      server_.post("runs/delete", {{"run_id", id}});
    } catch (const ServerError& e) {
      if (e.is_passing()) throw;  // else it stays: the end of our own run matters more
    }
  }
}

// A run that this process has started, or one that has ended: its child was left behind.
std::string RestSink::id_of_parent(const std::string& parent, const std::string& child) {
  if (const auto known = runs_->find(parent)) return known->id;
  const auto mine = runs_->find(child);
  const bool is_id = parent.size() == 32 && parent.find_first_not_of("0123456789abcdef") == std::string::npos;
  const auto made = mine && is_id ? find_created(parent, mine->experiment_id) : std::nullopt;
  if (!made) return parent;
  runs_->add(parent, *made);
  return made->id;
}

// The experiment of a name that could not be looked for at the call.
int64_t RestSink::experiment(const std::string& name) {
  if (const auto known = experiments_.find(name); known != experiments_.end()) return known->second;
  for (const bool again : {false, true}) {
    try {
      const Json found = server_.get("experiments/get-by-name", {{"experiment_name", name}});
      return experiments_[name] = std::stoll(found.at("experiment").at("experiment_id").get<std::string>());
    } catch (const ServerError& e) {
      if (again || e.code() != "RESOURCE_DOES_NOT_EXIST") throw;
    }
    try {
      const Json made = server_.post("experiments/create", {{"name", name}});
      return experiments_[name] = std::stoll(made.at("experiment_id").get<std::string>());
    } catch (const ServerError& e) {
      if (e.code() != "RESOURCE_ALREADY_EXISTS") throw;
    }
  }
  throw ServerError("mlflow: the experiment '" + name + "' can be neither found nor made", "", 0, "", true);
}

}  // namespace trainhost::track
