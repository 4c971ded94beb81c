// The embedded store as a sink: records into MLflow's tables, artifacts into local folders.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/track/sink.h"

namespace trainhost::track {

// `path`: a database that a Store has prepared. Opens its own connection on the sender thread, at the first record.
// How far the spool of a run is stored, beside MLflow's tables, which know nothing of it.
inline constexpr const char* kPositionsSql =
    "CREATE TABLE IF NOT EXISTS trainhost_spools (run_uuid VARCHAR(32) PRIMARY KEY, spool TEXT NOT NULL, "
    "position INTEGER NOT NULL)";

class SqliteSink : public Sink {
 public:
  explicit SqliteSink(std::string path);
  ~SqliteSink() override;
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override;
  void forget(const std::string& run) override;
  std::string name() const override { return path_; }
  void set_bound(Bound bound) override { bound_ = std::move(bound); }
  void hurry() noexcept override;

 private:
  struct Connection;
  Connection& connection();
  void close() noexcept;
  void sync_published();

  std::string path_;
  std::mutex mutex_;  // hurry() against opening
  std::atomic<bool> hurried_ = false;
  Bound bound_;
  std::unique_ptr<Connection> connection_;
  std::vector<std::string> published_;  // artifacts that a power cut would take
  std::set<std::string> named_;         // see file::sync
};

// The position up to which a store has that spool of a run; 0: nothing of it.
uint64_t stored_position(const std::string& path, const std::string& run, const std::string& spool);

}  // namespace trainhost::track
