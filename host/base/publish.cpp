// A temporary name beside the place, a sync, one rename.
#include "host/base/publish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "host/base/error.h"
#include "host/base/file.h"

namespace trainhost::file {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_write(const std::string& path, const char* what, int code) {
  throw_io("cannot " + std::string(what) + " " + path + ": " + std::strerror(code),
           code == ENOSPC || code == EDQUOT ? "free some space; what was there before is unchanged" : "");
}

// "/out/.best.tmp-4711-3": hidden, beside the target, so that the rename stays within one file system.
std::string temporary_prefix(const std::string& path) {
  std::string name = ".";
  name.append(fs::path(path).filename().string()).append(".tmp-");
  return (fs::path(folder_of(path)) / name).string();
}

std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> count{0};
  return temporary_prefix(path) + std::to_string(::getpid()) + "-" + std::to_string(count.fetch_add(1));
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// Temporary names of PATH whose process is gone: what a killed writer left.
void remove_leftovers(const std::string& path) {
  const std::string prefix = fs::path(temporary_prefix(path)).filename().string();
  std::error_code ignored;
  for (fs::directory_iterator it(folder_of(path), ignored), end; !ignored && it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const long pid = std::strtol(name.c_str() + prefix.size(), nullptr, 10);
    if (pid > 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) fs::remove_all(it->path(), ignored);
  }
}

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_write(folder, "open", errno);
  const int failed = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (failed != 0 && failed != EINVAL) fail_write(folder, "sync", failed);  // EINVAL: a file system without it
}

}  // namespace

NewFile::NewFile(std::string path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  remove_leftovers(path_);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_write(path_, "write", errno);
}

NewFile::~NewFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void NewFile::write(const void* bytes, size_t count) {
  const auto* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = ::write(fd_, from, std::min(count, size_t{1} << 30));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_write(path_, "write", errno);
    from += done;
    count -= static_cast<size_t>(done);
  }
}

void NewFile::publish() {
  while (::fsync(fd_) != 0)
    if (errno != EINTR) fail_write(path_, "sync", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, "write", errno);
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0 && errno != EINTR) fail_write(path_, "close", errno);
  sync_folder(folder_of(path_));
}

NewFolder::NewFolder(std::string path) : path_(without_slash(std::move(path))), temporary_(temporary_name(path_)) {
  file::mkdir(folder_of(path_));
  remove_leftovers(path_);
  if (::mkdir(temporary_.c_str(), 0777) != 0) fail_write(path_, "create folder", errno);
}

// After a publish over an older folder the temporary name holds that older one.
NewFolder::~NewFolder() {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void NewFolder::publish() {
  sync_folder(temporary_);
  struct stat there;
  if (::lstat(path_.c_str(), &there) != 0 || !S_ISDIR(there.st_mode)) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, "rename into", errno);
  } else if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) fail_write(path_, "exchange", errno);
    // A file system without exchange (NFS): for a moment the old folder has another name, and is put back on failure.
    const std::string old = temporary_name(path_);
    if (::rename(path_.c_str(), old.c_str()) != 0) fail_write(path_, "rename", errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      const int code = errno;
      ::rename(old.c_str(), path_.c_str());
      fail_write(path_, "rename into", code);
    }
    temporary_ = old;
  }
  sync_folder(folder_of(path_));
}

void publish_link(const std::string& target, const std::string& link) {
  const std::string path = without_slash(link), temporary = temporary_name(path);
  remove_leftovers(path);
  if (::symlink(target.c_str(), temporary.c_str()) != 0) fail_write(path, "create link", errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    fail_write(path, "rename into", code);
  }
  sync_folder(folder_of(path));
}

}  // namespace trainhost::file
