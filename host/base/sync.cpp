// Every write is begun before the first is waited for.
#include "host/base/sync.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/base/error.h"
#include "host/base/file.h"

namespace trainhost::file {
namespace {

class Opened {
 public:
  explicit Opened(const std::string& path) : handle_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Opened() {
    if (handle_ >= 0) ::close(handle_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int handle() const noexcept { return handle_; }

 private:
  int handle_;
};

[[noreturn]] void fail(const std::string& path) { throw_io("cannot sync '" + path + "': " + std::strerror(errno)); }

// What cannot be synced by its kind (a file system in memory, a folder of a network) has nothing to lose here.
bool has_failed(int result) { return result != 0 && errno != EINVAL && errno != EROFS; }

}  // namespace

void sync(const std::vector<std::string>& paths, std::set<std::string>& named) {
  std::set<std::string> folders, now;
  for (const std::string& path : paths) {
    const Opened file(path);
    if (file.handle() >= 0) ::sync_file_range(file.handle(), 0, 0, SYNC_FILE_RANGE_WRITE);
  }
  for (const std::string& path : paths) {
    const Opened file(path);
    if (file.handle() < 0 && errno == ENOENT) continue;
    if (file.handle() < 0) fail(path);
    while (has_failed(::fdatasync(file.handle())))
      if (errno != EINTR) fail(path);
    for (std::string name = path; !named.contains(name) && now.insert(name).second; name = folder_of(name))
      folders.insert(folder_of(name));
  }
  for (const std::string& path : folders) {
    const Opened folder(path);
    if (folder.handle() < 0) continue;  // one that we may pass and not read was there before us
    while (has_failed(::fsync(folder.handle())))
      if (errno != EINTR) fail(path);
  }
  named.merge(now);
}

}  // namespace trainhost::file
