// What is logged to a run, on disk before the call returns and until it is stored.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/track/queue.h"

namespace trainhost::track {

struct SpoolOptions {
  uint64_t segment = uint64_t{4} << 20;  // bytes of a file, about; it is removed when all of it is stored
  uint64_t capacity =
      uint64_t{1} << 30;  // bytes that may wait; what may be dropped is dropped beyond, the rest at twice
};

// What a segment begins with: key: the spool's id, value: its store.
inline constexpr auto kHeader = static_cast<RecordKind>(255);
inline constexpr size_t kFrame = 8;  // checksum, length

// A record as the spool has it: checksum, length, kind, run, fields.
void append_frame(std::string& to, const Record& record);
// The record that `bytes` begin with, and how long it is; nothing if there is no whole one.
std::optional<std::pair<Record, size_t>> read_frame(std::string_view bytes);
// `bytes` begin with what is no frame: where the next one of the run is; their size if there is none.
size_t find_frame(std::string_view bytes, std::string_view run);
// Do they end before the length of the frame that they begin with?
bool is_cut_short(std::string_view bytes);

// The spool of one run: FOLDER/RUN/spool/OFFSET.log, one after the other, and FOLDER/RUN/lock, which the process that
// logs to the run holds. Records are put by any thread and taken by the sender's.
class Spool {
 public:
  // A new one, for records that go to `store`. Error{io}.
  Spool(std::string folder, std::string run, std::string store, SpoolOptions options = {});
  // What a process has left that is no more; null: that process lives, it is this one's, or there is nothing.
  // Error{io}: it cannot be read, or all that says where it belongs is damaged.
  static std::shared_ptr<Spool> adopt(const std::string& folder, const std::string& run, SpoolOptions options = {});
  // Lets the lock go; what is not stored stays on disk.
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  enum class Put { kept, dropped, refused };
  // Writes the record with one call of the system. dropped: there is too much; refused: the disk does not take it.
  Put put(const Record& record);
  // The records that come next, each with its spool and position; empty: there are none.
  std::vector<Record> next(size_t most);
  // All up to this position is stored, so many more records.
  void stored(uint64_t position, uint64_t records);
  // All is stored and the run has ended: removes the files. False: that is not so.
  bool remove();

  const std::string& run() const noexcept { return run_; }
  const std::string& store() const noexcept { return store_; }
  const std::string& id() const noexcept { return id_; }
  // The store has all up to this position already; returns how many records that were.
  uint64_t skip(uint64_t position);
  // The run goes on. False: the files are removed already.
  bool revive();
  bool ended() const;
  uint64_t waiting() const;  // records
  // When something was last written, ms since the epoch.
  int64_t last_sign() const;

  std::atomic<bool> told{false};  // a token of it is on its way to the sender
  std::atomic<uint64_t> lost{0};  // records dropped

 private:
  struct Adopted {};
  Spool(Adopted, std::string folder, std::string run, SpoolOptions options);
  int lock(bool make);
  [[noreturn]] void throw_unlocked(int code) const;
  void unlock() noexcept;
  bool open_segment();
  void close_files() noexcept;
  bool write_all(std::string_view bytes);
  bool find_segments();
  void scan();
  // Keeps a copy of a segment and says how much of it nobody can read; once each.
  void pass_over(uint64_t start, uint64_t at, uint64_t size);
  void note(const Record& record);
  void remove_files() noexcept;
  void remove_folders() noexcept;
  std::string path_of(uint64_t start) const;

  const std::string folder_, run_;  // folder_: of this run
  std::string store_, id_;
  const SpoolOptions options_;
  const int pid_;
  mutable std::mutex mutex_;
  std::deque<uint64_t> segments_;  // where each begins
  uint64_t end_ = 0, stored_ = 0;  // positions
  uint64_t put_ = 0, taken_ = 0;   // records
  int out_ = -1, lock_ = -1;
  bool ended_ = false, removed_ = false, broken_ = false;
  std::string frame_;
  // The sender's own.
  int in_ = -1;
  uint64_t in_start_ = 0;
  std::set<uint64_t> damaged_;  // positions
  std::string block_;
};

// The spools of a tracker, by run.
class Spools {
 public:
  void add(std::shared_ptr<Spool> spool);
  std::shared_ptr<Spool> find(const std::string& run) const;
  // Of this one, not of a newer one of the same run.
  void drop(const Spool& spool);
  // Has the sender read the spool, unless it has been told already.
  void tell(Spool& spool, Queue& queue, Queue::Lane lane);
  uint64_t waiting() const;
  std::atomic<uint64_t> tokens{0};  // in the queue

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Spool>> by_run_;
};

}  // namespace trainhost::track
