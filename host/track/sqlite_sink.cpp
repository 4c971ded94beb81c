// One transaction for each stretch of rows; statements prepared once.
#include "host/track/sqlite_sink.h"

#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "host/base/file.h"
#include "host/base/sync.h"
#include "host/track/artifact.h"
#include "host/track/database.h"
#include "host/track/inputs.h"
#include "host/track/schema.h"

namespace trainhost::track {
namespace {

bool is_artifact(RecordKind kind) { return kind == RecordKind::text || kind == RecordKind::file; }

}  // namespace

struct SqliteSink::Connection {
  Connection(const std::string& path, bool hurried, const Bound& by)
      : database(path, std::chrono::seconds(30), Access::write), bound(by) {
    if (hurried) database.hurry();
    set_journal(database);
  }

  Database database;
  const Bound& bound;
  Statement run{database,
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
                "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time) "
                "VALUES (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, NULL, '', 'active', ?, ?, NULL) "
                "ON CONFLICT (run_uuid) DO NOTHING"};
  Statement resume{database, "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?"};
  Statement rename{database, "UPDATE runs SET name = ? WHERE run_uuid = ?"};
  Statement end{database, "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?"};
  Statement metric{database,
                   "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                   "VALUES (?, ?, ?, ?, ?, ?)"};
  Statement latest{database,
                   "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
                   "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, "
                   "timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan "
                   "WHERE (excluded.step, excluded.timestamp, excluded.value) > "
                   "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)"};
  Statement find_param{database, "SELECT value FROM params WHERE key = ? AND run_uuid = ?"};
  Statement param{database, "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)"};
  Statement tag{database,
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?) "
                "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value"};
  Statement delete_tag{database, "DELETE FROM tags WHERE key = ? AND run_uuid = ?"};
  Statement end_orphan{database, "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ? AND status = 'RUNNING'"};
  Statement find_run{database, "SELECT artifact_uri FROM runs WHERE run_uuid = ?"};

  std::unique_ptr<Statement> position;  // once a record of a spool has come
  std::unordered_map<std::string, std::string> artifact_uris;
  // Runs whose records cannot be stored, reported once; `refusing`: those found in the open transaction.
  std::unordered_set<std::string> refused, refusing;

  void store(const Record& r, std::vector<Event>& events);
  void store_row(const Record& r, std::vector<Event>& events);
  void store_model_metric(const Record& r, double value, std::vector<Event>& events);
  void note_positions(std::span<const Record> records);
  std::string publish(const Record& r, const Report& report);
  std::string artifact_uri(const std::string& run_id);
};

SqliteSink::SqliteSink(std::string path) : path_(std::move(path)), named_{file::folder_of(path_), path_ + "-wal"} {}
SqliteSink::~SqliteSink() = default;

SqliteSink::Connection& SqliteSink::connection() {
  if (!connection_) {
    auto opened = std::make_unique<Connection>(path_, hurried_, bound_);
    std::lock_guard lock(mutex_);
    if (hurried_) opened->database.hurry();
    connection_ = std::move(opened);
  }
  return *connection_;
}

void SqliteSink::close() noexcept {
  std::lock_guard lock(mutex_);
  connection_.reset();
}

void SqliteSink::hurry() noexcept {
  std::lock_guard lock(mutex_);
  hurried_ = true;
  if (connection_) connection_->database.hurry();
}

size_t SqliteSink::write(std::span<const Record> records, const Report& report) {
  size_t done = 0;
  try {
    Connection& to = connection();
    while (done < records.size()) {
      if (is_artifact(records[done].kind)) {
        if (auto path = to.publish(records[done], report); !path.empty()) published_.push_back(std::move(path));
        ++done;
        continue;
      }
      std::vector<Event> events;
      size_t end = done;
      to.refusing.clear();
      sync_published();  // before it is noted that they are stored
      Transaction transaction(to.database);
      for (; end < records.size() && !is_artifact(records[end].kind); ++end) to.store(records[end], events);
      to.note_positions(records.subspan(done, end - done));
      transaction.commit();
      to.refused.merge(to.refusing);
      for (size_t i = done; i < end; ++i)
        if (records[i].kind == RecordKind::end_run)
          if (const auto folder = local_folder(to.artifact_uri(records[i].run))) remove_staging(*folder);
      done = end;
      for (Event& event : events) report(std::move(event));
    }
  } catch (const DatabaseError& e) {
    if (!e.is_busy()) close();  // the file may be another one by now: the next try opens it anew
    if (done == 0) throw;
  } catch (const Error&) {
    if (done == 0) throw;
  }
  return done;
}

void SqliteSink::sync_published() {
  file::sync(published_, named_);
  for (const std::string& path : std::exchange(published_, {}))
    named_.erase(path);  // the next of that name is another file
}

void SqliteSink::flush() {
  sync_published();
  if (!connection_) return file::sync({path_ + "-wal"}, named_);  // what a process that was killed has stored
  // A commit in WAL is not synced; a checkpoint syncs the log and the database, but does nothing or stops half-way when
  // another connection makes one (busy) or still reads. Then the log itself is synced: what is in it survives.
  Statement checkpoint(connection_->database, "PRAGMA wal_checkpoint(PASSIVE)");
  if (!checkpoint.step()) throw Error(ErrorKind::tracking, "mlflow: the checkpoint of '" + path_ + "' gave no result");
  const bool busy = checkpoint.integer(0) != 0, complete = checkpoint.integer(2) >= checkpoint.integer(1);
  checkpoint.reset();
  if (busy || !complete) file::sync({path_ + "-wal"}, named_);
}

void SqliteSink::forget(const std::string& run) {
  if (!connection_ || !connection_->position) return;
  // A store whose runs have all ended has MLflow's tables and no other.
  Database& database = connection_->database;
  connection_->position.reset();
  try {
    Transaction transaction(database);
    database.run(kPositionsSql);
    Statement(database, "DELETE FROM trainhost_spools WHERE run_uuid = ?").bind(run).run();
    Statement any(database, "SELECT 1 FROM trainhost_spools");
    const bool used = any.step();
    any.reset();
    if (!used) database.run("DROP TABLE trainhost_spools");
    transaction.commit();
  } catch (const DatabaseError&) {
    // What stays is a position of a spool that is no more, which nobody reads.
  }
}

uint64_t stored_position(const std::string& path, const std::string& run, const std::string& spool) {
  Database database(path, std::chrono::seconds(30), Access::write);
  Statement table(database, "SELECT 1 FROM sqlite_master WHERE name = 'trainhost_spools'");
  if (!table.step()) return 0;
  table.reset();
  Statement row(database, "SELECT position FROM trainhost_spools WHERE run_uuid = ? AND spool = ?");
  return row.bind(run, spool).step() ? static_cast<uint64_t>(row.integer(0)) : 0;
}

void SqliteSink::Connection::store(const Record& r, std::vector<Event>& events) {
  try {
    store_row(r, events);
  } catch (const DatabaseError& e) {
    if (!e.is_constraint()) throw;
    if (!refused.contains(r.run) && refusing.insert(r.run).second)
      events.push_back({ErrorKind::tracking, r.run,
                        std::string(e.message()) + "; the run " + r.run + " or its experiment is not in the store",
                        "what is logged to it is set aside"});
  }
}

void SqliteSink::Connection::store_row(const Record& r, std::vector<Event>& events) {
  switch (r.kind) {
    case RecordKind::start_run:
      run.bind(r.run, r.key, r.extra, r.timestamp, r.value, r.step).run();
      break;
    case RecordKind::resume_run:
      resume.bind(r.run).run();
      break;
    case RecordKind::end_run:
      (r.extra == kOrphan ? end_orphan : end).bind(r.value, r.timestamp, r.run).run();
      break;
    case RecordKind::metric: {
      constexpr double kMost = std::numeric_limits<double>::max();
      const int is_nan = std::isnan(r.number);
      const double value = is_nan ? 0.0 : std::isinf(r.number) ? std::copysign(kMost, r.number) : r.number;
      metric.bind(r.key, value, r.timestamp, r.run, r.step, is_nan).run();
      latest.bind(r.key, value, r.timestamp, r.step, is_nan, r.run).run();
      if (!r.value.empty()) store_model_metric(r, value, events);
      break;
    }
    case RecordKind::param: {
      if (!find_param.bind(r.key, r.run).step()) {
        param.bind(r.key, r.value, r.run).run();
        break;
      }
      const std::string before = find_param.text(0);
      find_param.reset();
      if (before != r.value)
        events.push_back({ErrorKind::tracking, r.run,
                          "mlflow: changing param values is not allowed: param with key='" + r.key +
                              "' was already logged with value='" + before + "' for run ID='" + r.run +
                              "', attempted logging new value '" + r.value + "'",
                          "the first value stays"});
      break;
    }
    case RecordKind::tag:
      tag.bind(r.key, r.value, r.run).run();
      if (r.key == "mlflow.runName") rename.bind(r.value, r.run).run();
      break;
    case RecordKind::delete_tag:
      delete_tag.bind(r.key, r.run).run();
      break;
    case RecordKind::inputs:
      store_inputs(database, r.run, nlohmann::json::parse(r.value));
      break;
    case RecordKind::text:
    case RecordKind::file:
    case RecordKind::event:
    case RecordKind::spooled:
      break;
  }
}

// The point once more, of the model that it measures.
void SqliteSink::Connection::store_model_metric(const Record& r, double value, std::vector<Event>& events) {
  const size_t end = std::min(r.extra.find('\n'), r.extra.size());
  const std::string name = r.extra.substr(0, end), digest = r.extra.substr(std::min(end + 1, r.extra.size()));
  Statement insert(
      database,
      "INSERT OR IGNORE INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, "
      "metric_value, experiment_id, run_id, dataset_uuid, dataset_name, dataset_digest) "
      "SELECT ?1, ?2, ?3, ?4, ?5, experiment_id, run_uuid, (SELECT dataset_uuid FROM datasets d WHERE "
      "d.experiment_id = runs.experiment_id AND d.name = ?7 AND d.digest = ?8), nullif(?7, ''), nullif(?8, '') "
      "FROM runs WHERE run_uuid = ?6");
  try {
    insert.bind(r.value, r.key, r.timestamp, r.step, value, r.run, name, digest).run();
  } catch (const DatabaseError& e) {
    if (!e.is_constraint()) throw;
    events.push_back({ErrorKind::tracking, r.run, "mlflow: Logged model with ID '" + r.value + "' not found.",
                      "the metric '" + r.key + "' is of the run alone"});
  }
}

// With the records themselves: what is stored of a spool and what the store says of it are one.
void SqliteSink::Connection::note_positions(std::span<const Record> records) {
  for (size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.spool.empty() || (i + 1 < records.size() && records[i + 1].spool == r.spool)) continue;
    database.run(kPositionsSql);  // another process may have removed it a moment ago
    if (!position)
      position = std::make_unique<Statement>(
          database,
          "INSERT INTO trainhost_spools (run_uuid, spool, position) VALUES (?, ?, ?) ON CONFLICT (run_uuid) DO UPDATE "
          "SET spool = excluded.spool, position = excluded.position");
    position->bind(r.run, r.spool, static_cast<int64_t>(r.position)).run();
  }
}

std::string SqliteSink::Connection::artifact_uri(const std::string& run_id) {
  if (const auto known = artifact_uris.find(run_id); known != artifact_uris.end()) return known->second;
  std::string uri;
  if (find_run.bind(run_id).step()) uri = find_run.text(0);
  find_run.reset();
  if (artifact_uris.size() > 1000) artifact_uris.clear();
  if (!uri.empty()) artifact_uris[run_id] = uri;
  return uri;
}

// Throws if it should be tried again; where the file is, empty: nowhere.
std::string SqliteSink::Connection::publish(const Record& r, const Report& report) {
  const std::string uri = artifact_uri(r.run);
  const auto folder = local_folder(uri);
  const std::string what = "mlflow: the artifact '" + r.key + "' of run " + r.run;
  if (uri.empty() || !folder) {
    report(
        {ErrorKind::tracking, r.run,
         what + (uri.empty() ? " has no run in the store" : " belongs to '" + uri + "', which is not a local folder"),
         "it is set aside"});
    return "";
  }
  try {
    if (r.kind == RecordKind::text) {
      publish_text(r.value, *folder, r.key);
    } else if (!publish_file({r.value, r.step, r.timestamp}, *folder, r.key, bound)) {
      report(
          {ErrorKind::io, r.run,
           what + " was rewritten in place ('" + r.extra + "') before it was stored: the artifact is the newer content",
           "write large files under a new name, or call run:flush() first"});
    }
    return *folder + "/" + r.key;
  } catch (const FileError& e) {
    // A full disk is waited for; a path that cannot be written never will be.
    if (e.may_pass()) throw;
    report({ErrorKind::io, r.run, e.message(), "the artifact '" + r.key + "' is set aside"});
    return "";
  }
}

}  // namespace trainhost::track
