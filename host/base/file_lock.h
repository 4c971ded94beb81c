// A lock of the operating system on a file: one process at a time has it, and one owner in that process.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

namespace trainhost::file {

// Goes with its process, however that ends.
class FileLock {
 public:
  FileLock() = default;
  ~FileLock() { release(); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // 0; EBUSY: another process, or another owner in this one, has it; ESTALE: the file has just been removed; what else
  // the system says, ENOENT where there is no file and `make` is false. `note`: what others find there.
  int take(const std::string& path, bool make, std::string_view note = {});
  // After EBUSY: the note of who has it, empty if that is an owner in this process.
  const std::string& holder() const noexcept { return holder_; }
  bool is_held() const noexcept { return fd_ >= 0; }
  void release() noexcept;

 private:
  int fd_ = -1;
  pid_t process_ = 0;  // a fork has no lock to let go
  std::pair<dev_t, ino_t> file_;
  std::string holder_;
};

// Nobody has the lock of a file that is there.
bool is_unlocked(const std::string& path);

}  // namespace trainhost::file
