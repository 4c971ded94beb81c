// The folder of a run below .trainhost/runs: made, locked by the process that logs to the run, removed when empty.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "host/base/file_lock.h"

namespace trainhost::track {

class RunFolder {
 public:
  // `runs`: ".trainhost/runs". Makes nothing.
  RunFolder(const std::string& runs, const std::string& run);
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string spool() const { return path_ + "/spool"; }
  // The file of the spool that begins at an offset, and the offsets of those that are there, in order.
  std::string segment(uint64_t start) const;
  std::deque<uint64_t> segments() const;
  // Of this process alone. 0; EBUSY: another process, or another owner in this one, has it; ESTALE: it has just been
  // removed; what else the system says, ENOENT where there is no lock and `make` is false.
  int lock(bool make);
  void unlock() noexcept;
  // Is there a lock that nobody holds? Then its process is no more. Takes nothing.
  bool is_left() const;
  [[noreturn]] void throw_unlocked(int code) const;
  // Removes what is empty, up to .trainhost: the spool, the folder itself; if the lock is held here, it too, and what
  // is noted of a server.
  void remove() noexcept;
  // The same of the folder of all runs, which a process that was killed while it removed the last may have left.
  static void remove_empty(const std::string& runs) noexcept;

 private:
  const std::string path_;
  file::FileLock lock_;
};

}  // namespace trainhost::track
