// A run that is being logged to.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "host/track/monitor.h"
#include "host/track/queue.h"
#include "host/track/remote_runs.h"
#include "host/track/spools.h"
#include "host/track/store.h"

namespace trainhost::track {

// Every call checks its arguments (usage errors: key syntax, an ended run), fixes the time and returns in microseconds;
// what cannot be stored later becomes an Event. Any thread.
class Run {
 public:
  // `remote`: of a server's run, which tells its id there; `staging`: the place beside which its files wait.
  Run(std::shared_ptr<Queue> queue, Queue::Lane lane, RunInfo info, Report report,
      std::shared_ptr<RemoteRuns> remote = nullptr, std::string staging = {});

  // From now on what is logged goes through a spool, before anybody else has the run.
  void spool_to(std::shared_ptr<Spool> spool, std::shared_ptr<Spools> spools);
  // Hands a record of this run over.
  void put(Record record);

  // `timestamp` in ms since the epoch; below 0: now. `model` and `dataset` (name and digest, a line each) as in Record.
  void log_metric(std::string_view key, double value, int64_t step, int64_t timestamp = -1, std::string_view model = {},
                  std::string_view dataset = {});
  // The list of datasets of MLflow's call runs/log-inputs.
  void log_inputs(std::string json);
  void log_param(std::string_view key, std::string_view value);
  void set_tag(std::string_view key, std::string_view value);
  void delete_tag(std::string_view key);
  void log_text(std::string_view content, std::string_view artifact_path);
  // A file, or a folder under its own name; `artifact_path`: the folder in the run's artifacts, may be empty.
  // Throws Error(io) if there is no such file. See Note [Staged files] in artifact.cpp.
  void log_artifact(const std::string& path, std::string_view artifact_path);
  // All files below a folder.
  void log_artifacts(const std::string& folder, std::string_view artifact_path);
  // From now on until the run ends, what the machine is doing is logged too.
  void monitor(MonitorOptions options);
  // status: FINISHED, FAILED, KILLED or SCHEDULED.
  void end(const std::string& status);

  bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  // id, experiment and artifact_uri are the server's as soon as it has told them.
  RunInfo info() const;
  // The id that it has had from its first moment, in its records.
  const std::string& id() const noexcept { return id_; }
  // Is it the run that `id` names, which may be the one that it had before its server knew it?
  bool is(const std::string& id) const;
  // Waits until info().id is the id by which others know the run; false: not within `limit`, or the server refuses it.
  bool wait_id(std::chrono::milliseconds limit) const { return !remote_ || remote_->wait(id_, limit); }

 private:
  void check_open(const char* function) const;
  void push(RecordKind kind, std::string_view key, std::string value);
  void add_file(const std::string& source, const std::string& artifact_path);

  const std::shared_ptr<Queue> queue_;
  const Queue::Lane lane_;
  const std::string id_;
  const Report report_;
  const std::shared_ptr<RemoteRuns> remote_;
  const std::string staging_;
  std::shared_ptr<Spool> spool_;
  std::shared_ptr<Spools> spools_;
  std::atomic<bool> refused_{false};
  mutable std::mutex mutex_;  // guards info_
  RunInfo info_;
  std::atomic<bool> ended_{false};
  std::unique_ptr<Monitor> monitor_;  // the last member: it logs to this run
};

}  // namespace trainhost::track
