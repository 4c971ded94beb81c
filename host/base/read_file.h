// Files read with checks: by position, mapped, or whole up to a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace trainhost::file {

// A file open for reading: read by position, or mapped whole.
class ReadFile {
 public:
  // `what` begins the messages: "safetensors file". Only regular files are taken.
  ReadFile(std::string what, std::string path);
  ~ReadFile();
  ReadFile(const ReadFile&) = delete;
  ReadFile& operator=(const ReadFile&) = delete;

  uint64_t size() const noexcept { return size_; }
  const std::string& what() const noexcept { return what_; }
  const std::string& path() const noexcept { return path_; }
  // Error{io} if the bytes are not there.
  void read(uint64_t offset, void* to, size_t count) const;
  // All bytes, private and writable (copy on write); unmapped with the last owner.
  std::shared_ptr<char> map() const;
  [[noreturn]] void fail(const std::string& reason) const;

 private:
  std::string what_, path_;
  uint64_t size_ = 0;
  int fd_ = -1;
};

// The whole file as text, at most `most` bytes of it: Error{io} for a longer one.
std::string read_text(const std::string& what, const std::string& path, uint64_t most);

}  // namespace trainhost::file
