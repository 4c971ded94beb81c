// Creating MLflow's tables without its start-up race, and accepting those that are there.
#include "host/track/schema.h"

#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>

#include "host/track/record.h"

namespace trainhost::track {
namespace {

// Note [The 3.0 schema]
// A new database gets the tables of MLflow 3.0. MLflow 3.2 and later bring them to their own revision when they open
// the file, and 3.0 and 3.1 open them as they are, while a revision that the opening MLflow does not know is refused
// by every version. The tables of runs, metrics, params and tags are the same from 3.0 to 3.18; later revisions add
// columns with defaults and tables of no concern here. So any revision is accepted whose needed columns exist and
// whose other NOT NULL columns have defaults, and columns are always named in statements.

struct NeededTable {
  const char* name;
  const char* columns;  // each followed by a space
};
constexpr std::array<NeededTable, 7> kNeeded = {{
    {"experiments", "experiment_id name artifact_location lifecycle_stage creation_time last_update_time "},
    {"experiment_tags", "key value experiment_id "},
    {"runs",
     "run_uuid name source_type source_name entry_point_name user_id status start_time end_time source_version "
     "lifecycle_stage artifact_uri experiment_id deleted_time "},
    {"metrics", "key value timestamp run_uuid step is_nan "},
    {"latest_metrics", "key value timestamp step is_nan run_uuid "},
    {"params", "key value run_uuid "},
    {"tags", "key value run_uuid "},
}};

bool has_word(std::string_view list, std::string_view word) {
  size_t at = 0;
  while (at < list.size()) {
    const size_t end = list.find(' ', at);
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

bool is_network(const std::string& path) {
  struct statfs info;
  const auto folder = std::filesystem::path(path).parent_path();
  if (statfs(folder.empty() ? "." : folder.c_str(), &info) != 0) return false;
  // NFS, SMB, CIFS, SMB2, Lustre, 9P, Ceph, AFS, GPFS, BeeGFS, PanFS, FUSE (sshfs and the like), from their headers.
  static constexpr std::array<uint32_t, 12> kNetwork = {0x6969,     0x517B,     0xFF534D42, 0xFE534D42,
                                                        0x0BD00BD0, 0x01021997, 0x00C36400, 0x5346414F,
                                                        0x47504653, 0x19830326, 0xAAD7AAEA, 0x65735546};
  return std::find(kNetwork.begin(), kNetwork.end(), static_cast<uint32_t>(info.f_type)) != kNetwork.end();
}

bool has_table(Database& database, const char* name) {
  Statement find(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  const bool found = find.bind(name).step();
  find.reset();
  return found;
}

void create(Database& database, const std::string& artifact_root) {
  Transaction transaction(database);
  if (has_table(database, "alembic_version")) return;  // another process was first
  Statement any(database, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
  if (any.step()) {
    const std::string table = any.text(0);
    any.reset();
    throw Error(ErrorKind::tracking,
                "mlflow: '" + database.path() + "' is an SQLite database but not MLflow's: it holds the table '" +
                    table + "' and no 'alembic_version'",
                "set MLFLOW_TRACKING_URI=sqlite:///another.db");
  }
  any.reset();
  database.run(kSchemaSql);
  Statement(database, "INSERT INTO alembic_version (version_num) VALUES (?)").bind(kSchemaRevision).run();
  const int64_t now = now_ms();
  Statement(database,
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time) VALUES (0, 'Default', ?, 'active', ?, ?)")
      .bind(artifact_root + "/0", now, now)
      .run();
  transaction.commit();
}

void check(Database& database) {
  std::string revision;
  {
    Statement version(database, "SELECT version_num FROM alembic_version");
    if (version.step()) revision = version.text(0);
  }
  for (const NeededTable& table : kNeeded) {
    std::string have;
    Statement columns(database, "SELECT name, \"notnull\", dflt_value FROM pragma_table_info(?)");
    columns.bind(table.name);
    while (columns.step()) {
      const std::string name = columns.text(0);
      have += name + " ";
      if (!has_word(table.columns, name) && columns.integer(1) && columns.is_null(2))
        throw Error(ErrorKind::tracking,
                    "mlflow: '" + database.path() + "' (revision " + revision + ") is too new for trainhost: column " +
                        table.name + "." + name + " must have a value and has no default",
                    "set MLFLOW_TRACKING_URI=sqlite:///another.db, or use a newer trainhost");
    }
    std::string_view rest = table.columns;
    while (!rest.empty()) {
      const size_t end = rest.find(' ');
      const std::string_view name = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      if (!has_word(have, name))
        throw Error(ErrorKind::tracking,
                    "mlflow: '" + database.path() + "' (revision " + revision + ") has no column " + table.name + "." +
                        std::string(name),
                    "an older MLflow made it: run `mlflow db upgrade sqlite:///" + database.path() + "`");
    }
  }
}

}  // namespace

void set_journal(Database& database) {
  if (is_network(database.path())) return database.run("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  // Switching needs the file alone for a moment, and SQLite does not wait for that by itself. A process that holds it
  // for long keeps the journal that it knows: then every commit is synced instead.
  bool wal = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;) {
    try {
      Statement mode(database, "PRAGMA journal_mode = WAL");
      wal = mode.step() && mode.text(0) == "wal";
      break;
    } catch (const DatabaseError& e) {
      if (!e.is_busy()) throw;
      if (database.hurried() || std::chrono::steady_clock::now() >= deadline) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  database.run(wal ? "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON"
                   : "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
}

void prepare_database(Database& database, const std::string& artifact_root) {
  set_journal(database);
  if (!has_table(database, "alembic_version")) create(database, artifact_root);
  check(database);
}

}  // namespace trainhost::track
