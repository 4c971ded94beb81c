// SQLite's C API behind Database and Statement.
#include "host/track/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "host/base/file.h"

namespace trainhost::track {

DatabaseError::DatabaseError(std::string message, int code)
    : Error(ErrorKind::tracking, std::move(message)), code_(code) {}

bool DatabaseError::is_constraint() const noexcept { return (code_ & 0xff) == SQLITE_CONSTRAINT; }

bool DatabaseError::is_busy() const noexcept {
  return (code_ & 0xff) == SQLITE_BUSY || (code_ & 0xff) == SQLITE_LOCKED;
}

// Note [Reading a store]
// A reader is read only wherever there is a log: it would store what the log holds when it closes. Without one a
// connection makes the -wal and -shm files of the store, and could not remove them if it were read only: then it is one
// that may write and is told not to, and there is nothing that it could store.
static int mode_of(const std::string& path, Access access) {
  if (access == Access::create) return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (access == Access::read && file::exists(path + "-wal")) return SQLITE_OPEN_READONLY;
  return SQLITE_OPEN_READWRITE;
}

Database::Database(std::string path, std::chrono::milliseconds busy, Access access)
    : path_(std::move(path)), busy_(busy) {
  const int flags = mode_of(path_, access) | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    const std::string reason = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
    sqlite3_close_v2(handle_);
    throw DatabaseError("mlflow: cannot open '" + path_ + "': " + reason, code);
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_handler(handle_, &Database::wait_for_lock, this);
  if (access == Access::read) sqlite3_exec(handle_, "PRAGMA query_only = ON", nullptr, nullptr, nullptr);
}

Database::~Database() { sqlite3_close_v2(handle_); }

// SQLite's own busy timeout cannot be cut short from another thread; this one can.
int Database::wait_for_lock(void* self, int tries) {
  auto& database = *static_cast<Database*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (tries == 0) database.waiting_since_ = now;
  if (now - database.waiting_since_ >= database.busy_ || database.hurry_.load(std::memory_order_relaxed)) return 0;
  static constexpr std::array<int, 6> kPauses = {1, 1, 2, 5, 10, 20};  // ms
  std::this_thread::sleep_for(
      std::chrono::milliseconds(kPauses[std::min<size_t>(static_cast<size_t>(tries), kPauses.size() - 1)]));
  return 1;
}

void Database::fail(int code, const char* what) const {
  throw DatabaseError(std::string("mlflow: ") + what + " in '" + path_ + "': " + sqlite3_errmsg(handle_), code);
}

void Database::run(const char* sql) {
  if (const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
    fail(code, "cannot write");
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  const int code = sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (code != SQLITE_OK) database.fail(code, "cannot prepare a statement");
}

Statement::~Statement() { sqlite3_finalize(handle_); }

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    // The message must be read before the reset forgets it.
    const std::string reason = sqlite3_errmsg(database_.handle());
    reset();
    throw DatabaseError("mlflow: cannot write in '" + database_.path() + "': " + reason, code);
  }
  reset();
  return false;
}

void Statement::reset() noexcept { sqlite3_reset(handle_); }

int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }
double Statement::number(int column) const { return sqlite3_column_double(handle_, column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return data ? std::string(data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))) : std::string();
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail(code, "cannot bind a value");
}
void Statement::bind_one(int index, int64_t value) { check(sqlite3_bind_int64(handle_, index, value)); }
void Statement::bind_one(int index, double value) { check(sqlite3_bind_double(handle_, index, value)); }
void Statement::bind_one(int index, std::nullptr_t) { check(sqlite3_bind_null(handle_, index)); }
void Statement::bind_one(int index, std::string_view value) {
  // Copied: the statement may be stepped after the string is gone.
  // A null pointer would bind NULL.
  const char* data = value.data() ? value.data() : "";
  check(sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

Transaction::~Transaction() {
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace trainhost::track
