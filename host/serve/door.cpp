// A unix socket that the owner of a process alone can open.
#include "host/serve/door.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "host/base/error.h"

namespace trainhost::serve {
namespace {

constexpr size_t kMostUnsent = 4 << 20, kLongestLine = 1 << 20;

[[noreturn]] void fail(const char* what, const std::string& path, int code) {
  throw_io(std::string("cannot ") + what + " " + path + ": " + std::strerror(code));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail("use the socket", path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

bool is_owner(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

std::optional<std::string> next_line(std::string& buffer) {
  const size_t end = buffer.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer.substr(0, end);
  buffer.erase(0, end + 1);
  return line;
}

}  // namespace

std::string runtime_folder() {
  const char* given = std::getenv("XDG_RUNTIME_DIR");
  struct stat above {};
  const bool usable = given && *given == '/' && ::stat(given, &above) == 0 && S_ISDIR(above.st_mode);
  const std::string folder = usable ? std::string(given) + "/trainhost" : "/tmp/trainhost-" + std::to_string(geteuid());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) fail("make folder", folder, errno);
  struct stat st {};
  if (::lstat(folder.c_str(), &st) != 0) fail("look at folder", folder, errno);
  if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
    throw_io("cannot use " + folder + ": it is no folder of this user's alone");
  return folder;
}

Door::Door(std::string path, std::string busy) : path_(std::move(path)), busy_(std::move(busy) + "\n") {
  const sockaddr_un address = address_of(path_);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) fail("make the socket", path_, errno);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int code = errno;
    ::close(listener_);
    fail("make the socket", path_, code);
  }
  if (::chmod(path_.c_str(), 0600) != 0 || ::listen(listener_, 4) != 0) {
    const int code = errno;
    ::close(listener_);
    ::unlink(path_.c_str());
    fail("listen at", path_, code);
  }
}

Door::~Door() {
  drop();
  ::close(listener_);
  ::unlink(path_.c_str());
}

void Door::drop() noexcept {
  if (client_ >= 0) ::close(client_);
  client_ = -1;
  in_.clear();
  out_.clear();
}

void Door::admit() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (!is_owner(fd)) {
      ::close(fd);
    } else if (client_ >= 0) {
      (void)::send(fd, busy_.data(), busy_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::close(fd);
    } else {
      client_ = fd;
    }
  }
}

void Door::receive() {
  char block[4096];
  while (client_ >= 0) {
    const ssize_t count = ::recv(client_, block, sizeof block, MSG_DONTWAIT);
    if (count > 0) in_.append(block, static_cast<size_t>(count));
    if (count < 0 && would_block()) return;
    if (count <= 0 || in_.size() > kLongestLine) {
      // What a client asked before it went away is done all the same.
      std::string asked = in_.size() > kLongestLine ? std::string() : std::move(in_);
      asked.resize(asked.rfind('\n') + 1);  // npos + 1 is 0: half a line is nobody's
      drop();
      in_ = std::move(asked);
      return;
    }
  }
}

void Door::send() {
  while (client_ >= 0 && !out_.empty()) {
    const ssize_t count = ::send(client_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) out_.erase(0, static_cast<size_t>(count));
    else if (would_block()) break;
    else return drop();
  }
  if (out_.size() > kMostUnsent) drop();
}

std::optional<std::string> Door::take() {
  pollfd ready[2] = {{listener_, POLLIN, 0}, {client_, POLLIN, 0}};
  const bool any = ::poll(ready, client_ >= 0 ? 2 : 1, 0) > 0;
  if (any) {
    receive();
    if (client_ >= 0 || in_.empty()) admit();  // what one client has asked is never taken for another's
    receive();
  }
  if (!out_.empty()) send();
  auto line = next_line(in_);
  while (line && line->find(kTakeBack) != std::string::npos) line = next_line(in_);  // that was done, or never begun
  return line;
}

void Door::answer(std::string_view line) {
  if (client_ < 0) return;
  (out_ += line) += '\n';
  send();
}

Caller::Caller(const std::string& path) {
  const sockaddr_un address = address_of(path);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail("make a socket for", path, errno);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int code = errno;
    ::close(fd_);
    fail("reach", path, code);
  }
}

Caller::~Caller() { ::close(fd_); }

void Caller::send(std::string_view line, const std::function<bool()>& stop) {
  const std::string text = std::string(line) + "\n";
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<size_t>(count);
      continue;
    }
    if (!would_block()) throw_io("the training has gone away");
    if (stop()) return;
    pollfd ready{fd_, POLLOUT, 0};
    ::poll(&ready, 1, 50);
  }
}

std::optional<std::string> Caller::receive(const std::function<bool()>& stop) {
  for (;;) {
    if (auto line = next_line(in_)) return line;
    if (stop()) return std::nullopt;
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 50) <= 0) continue;
    char block[4096];
    const ssize_t count = ::recv(fd_, block, sizeof block, 0);
    if (count > 0) in_.append(block, static_cast<size_t>(count));
    else if (count == 0 || errno != EINTR) return std::nullopt;
  }
}

}  // namespace trainhost::serve
