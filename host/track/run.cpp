// Checks at the call, then the queue.
#include "host/track/run.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "host/track/artifact.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

std::string joined(std::string_view folder, std::string_view name) {
  return folder.empty() ? std::string(name) : std::string(folder) + "/" + std::string(name);
}

}  // namespace

Run::Run(std::shared_ptr<Queue> queue, Queue::Lane lane, RunInfo info, Report report,
         std::shared_ptr<RemoteRuns> remote, std::string staging)
    : queue_(std::move(queue)),
      lane_(lane),
      id_(info.id),
      report_(std::move(report)),
      remote_(std::move(remote)),
      staging_(std::move(staging)),
      info_(std::move(info)) {}

void Run::spool_to(std::shared_ptr<Spool> spool, std::shared_ptr<Spools> spools) {
  spool_ = std::move(spool);
  spools_ = std::move(spools);
}

void Run::put(Record record) {
  switch (spool_ ? spool_->put(record) : Spool::Put::refused) {
    case Spool::Put::kept:
      spools_->tell(*spool_, *queue_, lane_);
      return;
    case Spool::Put::dropped:
      if (spool_->lost == 1)
        report_({ErrorKind::tracking, id_,
                 "mlflow: the store has not kept up and the spool of the run is full: metrics and texts are dropped "
                 "until there is room",
                 "training goes on"});
      return;
    case Spool::Put::refused:
      if (spool_ && !refused_.exchange(true))
        report_(
            {ErrorKind::io, id_,
             "mlflow: the disk does not take what is logged: it waits in memory, and is lost if the process is killed",
             "training goes on"});
      queue_->push(lane_, std::move(record));
  }
}

RunInfo Run::info() const {
  std::unique_lock lock(mutex_);
  RunInfo info = info_;
  lock.unlock();
  const auto known = remote_ ? remote_->find(id_) : std::nullopt;
  if (known) {
    info.id = known->id;
    info.experiment_id = known->experiment_id;
    info.artifact_uri = known->artifact_uri;
  }
  return info;
}

bool Run::is(const std::string& id) const { return info().id == (remote_ ? remote_->id_of(id) : id); }

void Run::check_open(const char* function) const {
  if (!ended()) return;
  throw_usage(std::string("mlflow.") + function + ": the run " + id_ + " has ended (" + info().status + ")",
              "start_run{run_id = \"" + id_ + "\"} resumes it");
}

void Run::push(RecordKind kind, std::string_view key, std::string value) {
  Record record;
  record.kind = kind;
  record.run = id_;
  record.key = key;
  record.value = std::move(value);
  record.timestamp = now_ms();
  put(std::move(record));
}

void Run::log_metric(std::string_view key, double value, int64_t step, int64_t timestamp, std::string_view model,
                     std::string_view dataset) {
  check_open("log_metric");
  check_key("metric", key);
  Record record;
  record.kind = RecordKind::metric;
  record.run = id_;
  record.key = key;
  record.value = model;
  record.extra = dataset;
  record.number = value;
  record.step = step;
  record.timestamp = timestamp < 0 ? now_ms() : timestamp;
  put(std::move(record));
}

void Run::log_inputs(std::string json) {
  check_open("log_inputs");
  push(RecordKind::inputs, "", std::move(json));
}

void Run::log_param(std::string_view key, std::string_view value) {
  check_open("log_param");
  check_key("param", key);
  bool was_cut;
  std::string text = cut(clean_utf8(value), kMaxParam, was_cut);
  if (was_cut)
    report_(
        {ErrorKind::tracking, id_,
         "mlflow: the value of param '" + std::string(key) + "' is cut to " + std::to_string(kMaxParam) + " characters",
         "log_text or log_dict keep long values whole"});
  push(RecordKind::param, key, std::move(text));
}

void Run::set_tag(std::string_view key, std::string_view value) {
  check_open("set_tag");
  check_key("tag", key);
  bool was_cut;
  std::string text = cut(clean_utf8(value), kMaxTag, was_cut);
  if (was_cut)
    report_({ErrorKind::tracking, id_,
             "mlflow: the value of tag '" + std::string(key) + "' is cut to " + std::to_string(kMaxTag) + " characters",
             "log_text or log_dict keep long values whole"});
  if (key == "mlflow.runName") {
    std::lock_guard lock(mutex_);
    info_.name = text;
  }
  push(RecordKind::tag, key, std::move(text));
}

void Run::delete_tag(std::string_view key) {
  check_open("delete_tag");
  check_key("tag", key);
  push(RecordKind::delete_tag, key, "");
}

void Run::log_text(std::string_view content, std::string_view artifact_path) {
  check_open("log_text");
  check_artifact_path(artifact_path);
  push(RecordKind::text, artifact_path, std::string(content));
}

void Run::log_artifact(const std::string& path, std::string_view artifact_path) {
  check_open("log_artifact");
  if (!artifact_path.empty()) check_artifact_path(artifact_path);
  std::filesystem::path source(path);
  if (!source.has_filename()) source = source.parent_path();
  const std::string name = source.filename().string();
  std::error_code error;
  if (std::filesystem::is_directory(source, error)) return log_artifacts(source.string(), joined(artifact_path, name));
  add_file(path, joined(artifact_path, name));
}

void Run::log_artifacts(const std::string& folder, std::string_view artifact_path) {
  check_open("log_artifacts");
  if (!artifact_path.empty()) check_artifact_path(artifact_path);
  for (const FoundFile& file : files_below(folder)) add_file(file.path, joined(artifact_path, file.relative));
}

void Run::add_file(const std::string& source, const std::string& artifact_path) {
  check_artifact_path(artifact_path);
  const std::string uri = remote_ ? staging_ : info().artifact_uri;
  const auto folder = local_folder(uri);
  if (!folder)
    return report_({ErrorKind::tracking, id_,
                    "mlflow: the artifact '" + artifact_path + "' is not stored: the run's artifacts belong to '" +
                        uri + "', which is not a local folder",
                    ""});
  if (std::error_code error; !std::filesystem::is_regular_file(source, error))
    throw_io("mlflow.log_artifact: no file '" + source + "'");
  if (std::error_code error; remote_ && spools_ && !spools_->has_room(std::filesystem::file_size(source, error)))
    return report_({ErrorKind::tracking, id_,
                    "mlflow: the server has not kept up and the files that wait for it take too much of the disk: the "
                    "artifact '" +
                        artifact_path + "' ('" + source + "') is dropped",
                    "training goes on; metrics and params are kept"});
  StagedFile staged;
  try {
    staged = stage_file(source, *folder);
  } catch (const FileError& e) {
    // The disk is full, the folder is not ours: the tracker's trouble, not the script's.
    return report_({ErrorKind::io, id_,
                    std::string(e.message()) + "; the artifact '" + artifact_path + "' is not stored",
                    "training goes on"});
  }
  Record record;
  record.kind = RecordKind::file;
  record.run = id_;
  record.key = artifact_path;
  record.value = staged.path;
  record.extra = source;
  record.step = staged.size;
  if (remote_ && spools_) spools_->stage(static_cast<uint64_t>(staged.size));
  record.timestamp = staged.changed_ns;
  put(std::move(record));
}

void Run::monitor(MonitorOptions options) {
  check_open("start_run");
  try {
    monitor_ = std::make_unique<Monitor>(std::move(options), [this](const auto& key, double value, auto step,
                                                                    auto now) { log_metric(key, value, step, now); });
  } catch (const std::system_error& e) {
    report_({ErrorKind::tracking, id_, std::string("mlflow: system metrics are not logged: ") + e.what(),
             "training goes on"});
  }
}

void Run::end(const std::string& status) {
  static constexpr std::array<std::string_view, 4> kStatuses = {"FINISHED", "FAILED", "KILLED", "SCHEDULED"};
  if (std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end())
    throw_usage("mlflow.end_run: bad status '" + status + "', expected FINISHED, FAILED, KILLED or SCHEDULED");
  monitor_.reset();
  Record record;
  {
    std::lock_guard lock(mutex_);
    if (ended_.exchange(true, std::memory_order_acq_rel)) return;
    record.timestamp = info_.end_time = now_ms();
    info_.status = status;
  }
  record.kind = RecordKind::end_run;
  record.run = id_;
  record.value = status;
  put(std::move(record));
}

}  // namespace trainhost::track
