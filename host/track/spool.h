// What is logged to a run, on disk before the call returns and until it is stored.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/track/record.h"
#include "host/track/run_folder.h"

namespace trainhost::track {

struct SpoolOptions {
  uint64_t segment = uint64_t{4} << 20;  // bytes of a file, about; it is removed when all of it is stored
  uint64_t capacity =
      uint64_t{1} << 30;  // bytes that may wait; what may be dropped is dropped beyond, the rest at twice
};

// The spool of one run: FOLDER/RUN/spool/OFFSET.log, one after the other, and FOLDER/RUN/lock, which the process that
// logs to the run holds. Records are put by any thread and taken by the sender's.
class Spool {
 public:
  // A new one, for records that go to `store`. Error{io}.
  Spool(const std::string& folder, std::string run, std::string store, SpoolOptions options = {});
  // What a process has left that is no more; null: that process lives, it is this one's, there is nothing, or it is for
  // a store that is not `wanted`. Error{io}: it cannot be read, or all that says where it belongs is damaged.
  static std::shared_ptr<Spool> adopt(const std::string& folder, const std::string& run, SpoolOptions options = {},
                                      const std::function<bool(const std::string& store)>& wanted = {});
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
  // Are there files of which all is stored? Once that survives a power cut too, `remove_spent` lets them go.
  bool has_spent() const;
  void remove_spent();
  // All is stored, to survive a power cut, and the run has ended: removes the files. False: that is not so.
  bool remove();
  // What has been put survives a power cut when it returns, with the files that wait beside it. Any thread, for it
  // takes long, but one at a time. Error{io}.
  void sync();

  const std::string& folder() const noexcept { return folder_.path(); }  // of the run
  const std::string& run() const noexcept { return run_; }
  const std::string& store() const noexcept { return store_; }
  const std::string& id() const noexcept { return id_; }
  // The store has all up to this position already; returns how many records that were.
  uint64_t skip(uint64_t position);
  // The run goes on, in memory if the disk has refused before. False: the files are removed already.
  bool revive();
  bool ended() const;
  // The run has ended, although the disk did not take the record of it.
  void end();
  uint64_t waiting() const;                           // records
  uint64_t files() const noexcept { return files_; }  // bytes of those that a process has left, and that wait
  // When something was last written, ms since the epoch.
  int64_t last_sign() const;

  std::atomic<bool> told{false};  // a token of it is on its way to the sender
  std::atomic<uint64_t> lost{0};  // records dropped
  std::atomic<bool> held{false};  // its store takes nothing of it from this process
  bool is_id_noted = false;       // of a server, see delivery.h; the sender's own

 private:
  struct Adopted {};
  Spool(Adopted, const std::string& folder, std::string run, SpoolOptions options);
  bool open_segment();
  void close_files() noexcept;
  bool write_all(std::string_view bytes);
  std::string store_of_header() const;
  void scan();
  uint64_t begin_at(uint64_t position);
  // Keeps a copy of a segment and says how much of it nobody can read; once each.
  void pass_over(uint64_t start, uint64_t at, uint64_t size);
  void note(const Record& record);
  void remove_files() noexcept;

  RunFolder folder_;
  const std::string run_;
  std::string store_, id_;
  const SpoolOptions options_;
  mutable std::mutex mutex_;
  std::deque<uint64_t> segments_;               // where each begins
  uint64_t end_ = 0, stored_ = 0, synced_ = 0;  // positions
  uint64_t put_ = 0, taken_ = 0;                // records
  uint64_t files_ = 0;
  int64_t began_ = 0;  // when the run was started or resumed last, ms since the epoch
  int out_ = -1;
  bool ended_ = false, removed_ = false, broken_ = false;
  std::string frame_;
  std::vector<std::string> staged_;  // files of records behind synced_
  std::set<std::string> named_;      // of the thread that syncs, see file::sync
  // The sender's own.
  int in_ = -1;
  uint64_t in_start_ = 0;
  std::set<uint64_t> damaged_;  // positions
  std::string block_;
};

}  // namespace trainhost::track
