// fcntl's locks, and which files this process has locked.
#include "host/base/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <set>

namespace trainhost::file {
namespace {

using Id = std::pair<dev_t, ino_t>;

// Note [A lock of fcntl]
// It goes with its process, however that ends, is not inherited by a fork, and works on NFS. But the process itself is
// never kept out, and loses it with the first descriptor of the file that it closes: a process does not open the files
// that it has locked, by whatever path.
std::mutex held_mutex;
std::set<Id> held;

Id id_of(const struct stat& there) { return {there.st_dev, there.st_ino}; }

std::string read_note(int fd) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "another process";  // it has just begun
}

// A disk that is full keeps nobody from the lock: the note says less then.
void write_note(int fd, std::string_view note) {
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = ::pwrite(fd, note.data(), note.size(), 0);
}

}  // namespace

int FileLock::take(const std::string& path, bool make, std::string_view note) {
  release();
  holder_.clear();
  std::lock_guard guard(held_mutex);
  struct stat there {};
  if (::stat(path.c_str(), &there) == 0 && held.contains(id_of(there))) return EBUSY;
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0666);
  if (fd < 0) return errno;
  struct flock range {};
  range.l_type = F_WRLCK;
  struct stat mine {};
  int code = 0;
  if (::fcntl(fd, F_SETLK, &range) != 0) {
    code = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
    if (code == EBUSY) holder_ = read_note(fd);
  } else if (::fstat(fd, &mine) != 0 || ::stat(path.c_str(), &there) != 0 || id_of(mine) != id_of(there)) {
    code = ESTALE;
  }
  if (code) {
    ::close(fd);
    return code;
  }
  if (!note.empty()) write_note(fd, note);
  fd_ = fd;
  process_ = ::getpid();
  file_ = id_of(mine);
  held.insert(file_);
  return 0;
}

void FileLock::release() noexcept {
  if (fd_ < 0 || process_ != ::getpid()) return;
  std::lock_guard guard(held_mutex);
  ::close(std::exchange(fd_, -1));
  held.erase(file_);
}

bool is_unlocked(const std::string& path) {
  std::lock_guard guard(held_mutex);
  struct stat there {};
  if (::stat(path.c_str(), &there) != 0 || held.contains(id_of(there))) return false;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock range {};
  range.l_type = F_WRLCK;
  const bool known = ::fcntl(fd, F_GETLK, &range) == 0;
  ::close(fd);
  return known && range.l_type == F_UNLCK;
}

}  // namespace trainhost::file
