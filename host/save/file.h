// Files that are read whole or published whole: a reader never sees half a file, whatever happens to the writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace trainhost::save {

// Writes NAME by way of a temporary file beside it: write, fsync, rename, fsync of the folder. Until `publish`
// returns the old file stays as it was; without `publish` the temporary file is removed. Errors: Error{io} that
// names the file and the reason.
class NewFile {
 public:
  explicit NewFile(std::string path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void publish();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

// A new folder built beside PATH under a temporary name and put in its place at once, the folder that was there
// (if any) going away in the same step. Error{io} as above. Files written into `path()` must be synced by their writer.
class NewFolder {
 public:
  explicit NewFolder(std::string path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::string& path() const noexcept { return temporary_; }
  void publish();

 private:
  std::string path_, temporary_;
  bool published_ = false;
};

// Makes LINK a symbolic link to `target` (as given: relative to the link's folder) in one step.
void publish_link(const std::string& target, const std::string& link);

// A file open for reading: read by position, or mapped whole.
class ReadFile {
 public:
  // `what` begins the messages: "safetensors file". Only regular files are taken.
  ReadFile(std::string what, std::string path);
  ~ReadFile();
  ReadFile(const ReadFile&) = delete;
  ReadFile& operator=(const ReadFile&) = delete;

  uint64_t size() const noexcept { return size_; }
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

}  // namespace trainhost::save
