// Files on POSIX calls: errno is kept in every message.
#include "host/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "host/base/error.h"
#include "host/base/publish.h"

namespace trainhost::file {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, const std::string& path, int code) {
  throw_io("cannot " + std::string(what) + " " + path + ": " + std::generic_category().message(code));
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }
  int close() noexcept {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 ? 0 : ::close(fd);
  }

 private:
  int fd_;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

// Returns 0 or the errno.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

}  // namespace

std::string read(const std::string& path) {
  Descriptor fd(open_retrying(path.c_str(), O_RDONLY));
  if (fd.get() < 0) fail("open", path, errno);
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) fail("read", path, errno);
  if (S_ISDIR(st.st_mode)) fail("read", path, EISDIR);
  std::string text;
  size_t used = 0;
  for (;;) {
    if (used == text.size()) text.resize(used ? used * 2 : static_cast<size_t>(st.st_size) + 1);
    const ssize_t n = ::read(fd.get(), text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", path, errno);
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  text.resize(used);
  return text;
}

void write_atomic(const std::string& path, std::string_view text) {
  NewFile made(path);
  made.write(text);
  made.publish();
}

void append(const std::string& path, std::string_view text) {
  Descriptor fd(open_retrying(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666));
  if (fd.get() < 0) fail("append to", path, errno);
  if (const int code = write_all(fd.get(), text)) fail("append to", path, code);
}

void mkdir(const std::string& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail("make folder", path, code.value());
  if (!is_folder(path)) fail("make folder", path, ENOTDIR);
}

std::vector<std::string> list(const std::string& path) {
  std::error_code code;
  std::vector<std::string> names;
  fs::directory_iterator entry(path, code);
  if (code) fail("list folder", path, code.value());
  for (; entry != fs::directory_iterator(); entry.increment(code)) {
    if (code) fail("list folder", path, code.value());
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const std::string& path) noexcept {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0;
}

bool is_folder(const std::string& path) noexcept {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_writable(const std::string& path) {
  std::string place = absolute(path);
  if (exists(place)) return ::access(place.c_str(), W_OK) == 0;
  while (!exists(place)) place = folder_of(place);
  return is_folder(place) && ::access(place.c_str(), W_OK | X_OK) == 0;
}

bool remove(const std::string& path) {
  std::error_code code;
  const auto count = fs::remove_all(path, code);
  if (code) fail("remove", path, code.value());
  return count > 0;
}

void rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", from + " to " + to, errno);
}

void copy(const std::string& from, const std::string& to) { write_atomic(to, read(from)); }

uint64_t size(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) fail("read the size of", path, errno);
  return static_cast<uint64_t>(st.st_size);
}

double modified(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) fail("read the time of", path, errno);
  return static_cast<double>(st.st_mtim.tv_sec) + 1e-9 * static_cast<double>(st.st_mtim.tv_nsec);
}

std::optional<Stamp> stamp(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    fail("look at", path, errno);
  }
  const auto number = [](auto n) { return std::to_string(n) + " "; };
  std::string text = number(st.st_dev) + number(st.st_ino) + number(st.st_size) + number(st.st_mtim.tv_sec) +
                     number(st.st_mtim.tv_nsec) + number(st.st_ctim.tv_sec) + number(st.st_ctim.tv_nsec);
  return Stamp{std::move(text),
               static_cast<double>(st.st_ctim.tv_sec) + 1e-9 * static_cast<double>(st.st_ctim.tv_nsec)};
}

// A read lease is refused while somebody may write. It is given back at once; the signal that a writer who comes in
// between would cause is one that nobody hears.
bool is_being_written(const std::string& path) noexcept {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool written = false;
  if (::fcntl(fd, F_SETSIG, SIGURG) == 0) {
    if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) ::fcntl(fd, F_SETLEASE, F_UNLCK);
    else written = errno == EAGAIN;
  }
  ::close(fd);
  return written;
}

std::string cwd() {
  std::error_code code;
  const fs::path path = fs::current_path(code);
  if (code) fail("find", "the working folder", code.value());
  return path.string();
}

std::string absolute(const std::string& path) {
  const fs::path full = fs::path(path).is_absolute() ? fs::path(path) : fs::path(cwd()) / path;
  std::string text = full.lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace trainhost::file
