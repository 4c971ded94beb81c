// Batches, the creation of runs, what a server refuses.
#include "host/track/rest_sink.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/sync.h"
#include "host/track/artifact.h"
#include "host/track/metric_json.h"

namespace trainhost::track {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

// Note [Storing at a server]
// Every record may be sent more than once: an answer that is lost looks like a call that is lost. Metrics carry the
// time of the call, and the server keeps a point of the same key, step, time and value once; params and tags are
// idempotent by themselves. The creation of a run is not: see Note [A run that is made once]. Metrics, params and tags
// are separate transactions of the server, so a batch that is refused is halved until what is wrong with it stands
// alone; that is set aside with a report, and the rest is stored. What passes (no answer, 408, 429, 5xx, an answer that
// is no JSON) throws: the queue asks again when the pause is over, which grows for as long as nothing is stored.
constexpr size_t kMostItems = 1000, kMostParams = 100, kMostTags = 100, kMostBytes = 900'000;

bool is_batched(RecordKind kind) {
  return kind == RecordKind::metric || kind == RecordKind::param || kind == RecordKind::tag;
}

Json point_json(const Record& r) {
  Json metric = {{"key", r.key}, {"value", metric_json(r.number)}, {"timestamp", r.timestamp}, {"step", r.step}};
  if (!r.value.empty()) metric["model_id"] = r.value;
  if (const size_t end = r.extra.find('\n'); end != std::string::npos) {
    metric["dataset_name"] = r.extra.substr(0, end);
    metric["dataset_digest"] = r.extra.substr(end + 1);
  }
  return metric;
}

// Who asks may not: somebody else may, later.
bool is_denied(const ServerError& e) { return e.status() == 401 || e.status() == 403; }

bool is_gone(const ServerError& e) {
  return e.code() == "RESOURCE_DOES_NOT_EXIST" || e.message().find("must be in the 'active'") != std::string::npos;
}

// A batch may come again as a whole after a part of it was set aside.
std::string identity(const Record& r) {
  return r.run + (r.kind == RecordKind::param ? "\1" : "\2") + r.key + "\n" + r.value;
}

const char* name_of(RecordKind kind) {
  switch (kind) {
    case RecordKind::metric:
      return "metric";
    case RecordKind::param:
      return "param";
    case RecordKind::inputs:
      return "dataset";
    default:
      return "tag";
  }
}

}  // namespace

RestSink::RestSink(ServerOptions options, std::shared_ptr<RemoteRuns> runs)
    : server_(std::move(options)), runs_(std::move(runs)) {}

void RestSink::set_bound(Bound bound) {
  bound_ = bound;
  server_.set_bound(std::move(bound));
}

void RestSink::hurry() noexcept {
  hurried_ = true;
  server_.hurry();
}

size_t RestSink::write(std::span<const Record> records, const Report& report) {
  if (!hurried_ && not_before_ && Clock::now() < *not_before_) throw Error(ErrorKind::tracking, last_failure_);
  not_before_.reset();
  size_t done = 0;
  try {
    size_t count = 1;
    for (; count > 0 && done < records.size(); done += count) count = write_front(records.subspan(done), report);
    failures_ = 0;
    return done;
  } catch (const ServerError& e) {
    if (done) failures_ = 0;  // a server that answers in between is no server that is down
    not_before_ = Clock::now() + server_.pause(++failures_, e);
    last_failure_ = e.message();
    if (done) return done;
    throw;
  } catch (const std::exception&) {
    if (done) return done;
    throw;
  }
}

size_t RestSink::write_front(std::span<const Record> records, const Report& report) {
  const Record& first = records.front();
  if (refused_.contains(first.run)) return 1;
  if (held_.contains(first.run)) return 0;
  try {
    if (is_batched(first.kind)) return send_batches(records, report);
    send_alone(first, report);
  } catch (const ServerError& e) {
    if (e.is_passing()) throw;
    const bool is_refused = first.kind == RecordKind::start_run || is_denied(e);
    if (is_refused && !first.spool.empty()) {
      hold(first.run, e, report);
      return 0;
    }
    if (is_refused || is_gone(e)) refuse(first.run, e, report);
    else set_aside(first, e, report);
  }
  return 1;
}

// The records up to the next that is a call of its own, one call for each run among them.
size_t RestSink::send_batches(std::span<const Record> records, const Report& report) {
  std::map<std::string, Batch> batches;
  size_t taken = 0;
  for (; taken < records.size() && is_batched(records[taken].kind); ++taken) {
    const Record& r = records[taken];
    if (refused_.contains(r.run)) continue;
    if (r.kind == RecordKind::tag && r.key == "mlflow.runName") {
      const auto known = names_.find(r.run);
      if (known != names_.end() && known->second == r.value) continue;
      if (taken == 0) {  // the name is more than a tag
        send_alone(r, report);
        return 1;
      }
      break;
    }
    Batch& batch = batches[r.run];
    auto& list = r.kind == RecordKind::metric ? batch.metrics : r.kind == RecordKind::param ? batch.params : batch.tags;
    const auto same = [&](const Record* other) { return other->key == r.key; };
    if (r.kind != RecordKind::metric) {
      if (!bad_.empty() && bad_.contains(identity(r))) continue;
      const auto found = std::find_if(list.begin(), list.end(), same);
      if (found != list.end() && (*found)->value == r.value) continue;
      if (found != list.end()) break;  // another value: after this batch
    }
    const size_t bytes = batch.bytes + r.key.size() + r.value.size() * 2 + 100;
    if (batch.size() > 0 &&
        (batch.size() >= kMostItems || batch.params.size() + (r.kind == RecordKind::param) > kMostParams ||
         batch.tags.size() + (r.kind == RecordKind::tag) > kMostTags || bytes > kMostBytes))
      break;
    batch.bytes = bytes;
    list.push_back(&r);
  }
  for (const auto& [run, batch] : batches)
    if (batch.size() && !refused_.contains(run)) send(run, batch, report);
  return std::max<size_t>(taken, 1);
}

// Sends what the server takes of it. Throws what passes.
void RestSink::send(const std::string& run, const Batch& batch, const Report& report) {
  try {
    return log_batch(run, batch);
  } catch (const ServerError& e) {
    if (e.is_passing() || (is_denied(e) && !batch.front().spool.empty())) throw;
    if (is_denied(e) || is_gone(e)) return refuse(run, e, report);
    if (batch.size() == 1) return set_aside(batch.front(), e, report);
    // The server names a param that has another value already.
    for (size_t i = 0; i < batch.params.size(); ++i) {
      if (e.message().find("key='" + batch.params[i]->key + "'") == std::string::npos) continue;
      set_aside(*batch.params[i], e, report);
      Batch rest = batch;
      rest.params.erase(rest.params.begin() + static_cast<std::ptrdiff_t>(i));
      return send(run, rest, report);
    }
  }
  // Something in it is wrong: first by kind, then by halves.
  std::vector<Batch> parts;
  const bool is_mixed =
      batch.metrics.size() != batch.size() && batch.params.size() != batch.size() && batch.tags.size() != batch.size();
  for (auto list : {&Batch::metrics, &Batch::params, &Batch::tags}) {
    const auto& all = batch.*list;
    if (all.empty()) continue;
    const auto half = all.begin() + static_cast<std::ptrdiff_t>(is_mixed ? all.size() : (all.size() + 1) / 2);
    (parts.emplace_back().*list).assign(all.begin(), half);
    if (half != all.end()) (parts.emplace_back().*list).assign(half, all.end());
  }
  for (const Batch& part : parts)
    if (!refused_.contains(run)) send(run, part, report);
}

void RestSink::log_batch(const std::string& run, const Batch& batch) {
  Json body = {
      {"run_id", runs_->id_of(run)}, {"metrics", Json::array()}, {"params", Json::array()}, {"tags", Json::array()}};
  for (const Record* r : batch.metrics) body["metrics"].push_back(point_json(*r));
  for (const Record* r : batch.params) body["params"].push_back({{"key", r->key}, {"value", r->value}});
  for (const Record* r : batch.tags)
    body["tags"].push_back(
        {{"key", r->key}, {"value", r->key == "mlflow.parentRunId" ? id_of_parent(r->value, run) : r->value}});
  server_.post("runs/log-batch", body);
}

void RestSink::send_alone(const Record& r, const Report& report) {
  const std::string id = runs_->id_of(r.run);
  switch (r.kind) {
    case RecordKind::start_run:
      return start(r);
    case RecordKind::resume_run:
      server_.post("runs/update", {{"run_id", id}, {"status", "RUNNING"}});
      return;
    case RecordKind::end_run:
      return end(r);
    case RecordKind::tag:
      server_.post("runs/set-tag", {{"run_id", id}, {"key", r.key}, {"value", r.value}});
      names_[r.run] = r.value;
      return;
    case RecordKind::delete_tag:
      try {
        server_.post("runs/delete-tag", {{"run_id", id}, {"key", r.key}});
      } catch (const ServerError& e) {
        if (e.code() != "RESOURCE_DOES_NOT_EXIST") throw;  // it is deleted already
      }
      return;
    case RecordKind::inputs:
      server_.post("runs/log-inputs", {{"run_id", id}, {"datasets", Json::parse(r.value)}});
      return;
    case RecordKind::text:
    case RecordKind::file:
      return put_artifact(r, report);
    default:
      return;
  }
}

std::string RestSink::artifact_uri(const std::string& run) {
  if (const auto known = artifact_uris_.find(run); known != artifact_uris_.end()) return known->second;
  const Json answer = server_.get("runs/get", {{"run_id", runs_->id_of(run)}});
  return artifact_uris_[run] = answer.at("run").at("info").value("artifact_uri", "");
}

void RestSink::put_artifact(const Record& r, const Report& report) {
  const std::string uri = artifact_uri(r.run);
  const bool is_file = r.kind == RecordKind::file;
  const std::string what = "mlflow: the artifact '" + r.key + "' of run " + r.run;
  const auto folder = local_folder(uri);
  const StagedFile staged{r.value, r.step, r.timestamp};
  bool is_unchanged = true;
  try {
    if (folder && !uri.empty()) {
      if (is_file) is_unchanged = publish_file(staged, *folder, r.key, bound_);
      else publish_text(r.value, *folder, r.key);
      file::sync({*folder + "/" + r.key}, named_);  // what waits of it here goes now
      named_.erase(*folder + "/" + r.key);
    } else if (Server::takes(uri)) {
      server_.put_artifact(uri, r.key, is_file ? r.value : "", is_file ? "" : r.value);
      is_unchanged = !is_file || is_as_staged(staged);
    } else {
      report({ErrorKind::tracking, r.run,
              what + " belongs to '" + http::shown_url(uri) + "', which cannot be written from here",
              "it is set aside; a server started with --artifacts-destination and --serve-artifacts stores artifacts "
              "itself"});
    }
  } catch (const FileError& e) {
    if (e.may_pass()) throw;
    report({ErrorKind::io, r.run, e.message(), "the artifact '" + r.key + "' is set aside"});
  }
  if (!is_unchanged)
    report(
        {ErrorKind::io, r.run,
         what + " was rewritten in place ('" + r.extra + "') before it was stored: the artifact is the newer content",
         "write large files under a new name, or call run:flush() first"});
}

void RestSink::set_aside(const Record& r, const ServerError& e, const Report& report) {
  if (r.kind == RecordKind::param || r.kind == RecordKind::tag) bad_.insert(identity(r));
  if (r.kind == RecordKind::text || r.kind == RecordKind::file)
    return report({ErrorKind::tracking, r.run, e.message(), "the artifact '" + r.key + "' is set aside"});
  if (r.kind == RecordKind::end_run)
    return report({ErrorKind::tracking, r.run, e.message(), "the end of the run is not stored"});
  const bool is_changed = r.kind == RecordKind::param && e.message().find("hanging param value") != std::string::npos;
  report(
      {ErrorKind::tracking, r.run,
       is_changed ? "mlflow: changing param values is not allowed: param with key='" + r.key +
                        "' was already logged with another value, attempted logging new value '" + r.value + "'"
                  : e.message(),
       is_changed ? "the first value stays" : std::string("the ") + name_of(r.kind) + " '" + r.key + "' is set aside"});
}

void RestSink::refuse(const std::string& run, const ServerError& e, const Report& report) {
  if (!refused_.insert(run).second) return;
  runs_->refuse(run);
  report({ErrorKind::tracking, run, e.message() + "; what is logged to the run " + run + " is set aside", e.hint()});
}

void RestSink::hold(const std::string& run, const ServerError& e, const Report& report) {
  if (!held_.insert(run).second) return;
  runs_->refuse(run);
  report({ErrorKind::tracking, run,
          e.message() + "; what is logged to the run " + run + " is kept on disk for `trainhost sync`", e.hint()});
}

}  // namespace trainhost::track
