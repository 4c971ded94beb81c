// A tracking server as a sink: records as calls of MLflow's REST API, artifacts by PUT or into a local folder.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "host/track/remote_runs.h"
#include "host/track/server.h"
#include "host/track/sink.h"

namespace trainhost::track {

// See Note [Storing at a server] in rest_sink.cpp.
class RestSink : public Sink {
 public:
  RestSink(ServerOptions options, std::shared_ptr<RemoteRuns> runs);
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override {}
  std::optional<std::chrono::steady_clock::time_point> not_before() const override { return not_before_; }
  std::string name() const override { return http::shown_url(server_.options().url); }
  void set_bound(Bound bound) override;
  void hurry() noexcept override;
  bool is_bounded() const noexcept override { return true; }
  bool holds(const std::string& run) const override { return held_.contains(run); }

 private:
  // What goes to one run in one call.
  struct Batch {
    std::vector<const Record*> metrics, params, tags;
    size_t bytes = 0;
    const Record& front() const { return *(metrics.size() ? metrics : params.size() ? params : tags).front(); }
    size_t size() const { return metrics.size() + params.size() + tags.size(); }
  };

  size_t write_front(std::span<const Record> records, const Report& report);
  size_t send_batches(std::span<const Record> records, const Report& report);
  void send(const std::string& run, const Batch& batch, const Report& report);
  void log_batch(const std::string& run, const Batch& batch);
  // One record that is a call of its own; ServerErrors that do not pass set it aside.
  void send_alone(const Record& record, const Report& report);
  void start(const Record& record);
  void end(const Record& record);
  RemoteRun create(const Record& record, int64_t experiment_id);
  int64_t experiment(const std::string& name);
  Server::Json runs_of(const std::string& local, int64_t experiment_id);
  std::optional<RemoteRun> find_created(const std::string& local, int64_t experiment_id);
  void delete_twins(const std::string& local);
  std::string id_of_parent(const std::string& parent, const std::string& child);
  void put_artifact(const Record& record, const Report& report);
  std::string artifact_uri(const std::string& run);
  void set_aside(const Record& record, const ServerError& error, const Report& report);
  void refuse(const std::string& run, const ServerError& error, const Report& report);
  void hold(const std::string& run, const ServerError& error, const Report& report);

  Server server_;
  std::shared_ptr<RemoteRuns> runs_;
  std::atomic<bool> hurried_{false};
  Bound bound_;
  std::set<std::string> named_;                                      // see file::sync
  int failures_ = 0;                                                 // since something was stored last
  std::optional<std::chrono::steady_clock::time_point> not_before_;  // the pause after a failure
  std::string last_failure_;
  std::unordered_set<std::string> tried_twice_;  // runs that were made though the first try may have come through
  std::unordered_set<std::string> refused_;      // runs whose records cannot be stored; reported
  std::unordered_set<std::string> held_;         // runs whose records stay in their spools; reported
  std::set<std::string> bad_;                    // params and tags that were set aside: run, key, value
  std::unordered_map<std::string, int64_t> experiments_;
  std::unordered_map<std::string, std::string> names_, artifact_uris_;
};

}  // namespace trainhost::track
