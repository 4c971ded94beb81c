// SQLite as C++ values: a connection, a statement, an error with SQLite's code.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace trainhost::track {

class DatabaseError : public Error {
 public:
  DatabaseError(std::string message, int code);
  int code() const noexcept { return code_; }
  bool is_constraint() const noexcept;  // the row breaks a rule of the table: it can never be stored
  bool is_busy() const noexcept;        // another process holds the lock

 private:
  int code_;
};

// read: no statement may write, and closing leaves no file of SQLite's behind; create: the file is made if it is
// absent.
enum class Access { read, write, create };

// One connection; belongs to one thread at a time.
class Database {
 public:
  // Opens the file. A lock held by another process is waited for as long as
  // `busy`, see `hurry`.
  Database(std::string path, std::chrono::milliseconds busy, Access access = Access::create);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one or more statements without results.
  void run(const char* sql);
  // From any thread: stop waiting for locks.
  void hurry() noexcept { hurry_.store(true, std::memory_order_relaxed); }
  bool hurried() const noexcept { return hurry_.load(std::memory_order_relaxed); }

  const std::string& path() const noexcept { return path_; }
  sqlite3* handle() const noexcept { return handle_; }
  [[noreturn]] void fail(int code, const char* what) const;

 private:
  static int wait_for_lock(void* self, int tries);

  std::string path_;
  std::chrono::milliseconds busy_;
  std::chrono::steady_clock::time_point waiting_since_{};
  std::atomic<bool> hurry_{false};
  sqlite3* handle_ = nullptr;
};

using Bound = std::variant<int64_t, double, std::string>;

// A prepared statement, usable again and again: bind from 1, step, read from 0.
class Statement {
 public:
  Statement(Database& database, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Resets and binds all parameters in order.
  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  Statement& bind_all(const std::vector<Bound>& values) {
    reset();
    int index = 0;
    for (const Bound& value : values) std::visit([this, at = ++index](const auto& one) { bind_one(at, one); }, value);
    return *this;
  }
  // True: a row is there. False: done (and reset).
  bool step();
  void run() {
    while (step()) {
    }
  }
  void reset() noexcept;

  int64_t integer(int column) const;
  double number(int column) const;
  std::string text(int column) const;  // empty for NULL
  bool is_null(int column) const;

 private:
  void bind_one(int index, int64_t value);
  void bind_one(int index, int value) { bind_one(index, static_cast<int64_t>(value)); }
  void bind_one(int index, double value);
  void bind_one(int index, std::string_view value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, std::nullptr_t);
  void check(int code) const;

  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
};

// BEGIN IMMEDIATE now, ROLLBACK unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database.run("BEGIN IMMEDIATE"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace trainhost::track
