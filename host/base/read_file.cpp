// Reading on POSIX calls: what is not there is an error that names the byte.
#include "host/base/read_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/base/error.h"

namespace trainhost::file {

ReadFile::ReadFile(std::string what, std::string path) : what_(std::move(what)), path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) fail(std::string("cannot be opened: ") + std::strerror(errno));
  struct stat info;
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fail("is not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

ReadFile::~ReadFile() { ::close(fd_); }

void ReadFile::fail(const std::string& reason) const { throw_io(what_ + " " + path_ + ": " + reason); }

void ReadFile::read(uint64_t offset, void* to, size_t count) const {
  auto* at = static_cast<char*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(fd_, at, std::min(count, size_t{1} << 30), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0)
      fail("ends at byte " + std::to_string(offset) + ", expected " + std::to_string(count) + " bytes more");
    at += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
}

std::shared_ptr<char> ReadFile::map() const {
  const size_t size = size_;
  void* bytes = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd_, 0);
  if (bytes == MAP_FAILED) fail(std::string("cannot be mapped: ") + std::strerror(errno));
  return {static_cast<char*>(bytes), [size](char* p) { ::munmap(p, size); }};
}

std::string read_text(const std::string& what, const std::string& path, uint64_t most) {
  const ReadFile in(what, path);
  if (in.size() > most)
    in.fail("holds " + std::to_string(in.size()) + " bytes, expected at most " + std::to_string(most));
  std::string text(in.size(), '\0');
  in.read(0, text.data(), text.size());
  return text;
}

}  // namespace trainhost::file
