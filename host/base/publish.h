// Files, folders and links that are published whole: a reader never sees half of one, whatever happens to the writer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trainhost::file {

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
};

// Makes LINK a symbolic link to `target` (as given: relative to the link's folder) in one step.
void publish_link(const std::string& target, const std::string& link);

}  // namespace trainhost::file
