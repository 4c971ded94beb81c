// Files of a run: staged at the call, published under the run's artifacts later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/bound.h"
#include "host/base/error.h"

namespace trainhost::track {

// An Error(io) with the operating system's number.
class FileError : public Error {
 public:
  FileError(const std::string& message, int code) : Error(ErrorKind::io, message), code_(code) {}
  // Worth another try later: the disk is full, a limit is reached.
  bool may_pass() const noexcept;

 private:
  int code_;
};

// The folder that a local artifact URI (a path, file:///path) names; nothing for s3://, mlflow-artifacts:/ ...
std::optional<std::string> local_folder(const std::string& uri);

// A private snapshot of a file, beside the run's artifacts and on their file system.
struct StagedFile {
  std::string path;
  int64_t size = 0;
  int64_t changed_ns = 0;  // its last modification when it was staged
};

// Takes the snapshot in a time that does not grow with the file: see Note [Staged files] in artifact.cpp.
// Throws FileError if the source is no readable file or the snapshot cannot be made.
StagedFile stage_file(const std::string& source, const std::string& artifact_folder);

// Moves (or copies, then removes) the snapshot to `artifact_folder`/`path`, atomically. False: a large file was
// rewritten in place between the call and now, and what is published is the newer content. Throws FileError.
// Publishing again after a success does nothing.
// `bound`: told what is copied.
bool publish_file(const StagedFile& staged, const std::string& artifact_folder, const std::string& path,
                  const Bound& bound = {});
// Is its content that of the moment when it was staged?
bool is_as_staged(const StagedFile& staged);
// Writes `content` to `artifact_folder`/`path`, atomically. Throws FileError.
void publish_text(std::string_view content, const std::string& artifact_folder, const std::string& path);
// Removes a snapshot that is published nowhere, and the folders that it leaves empty. False: it is not there.
bool remove_staged(const std::string& path) noexcept;
// Removes the staging folder if it is empty.
void remove_staging(const std::string& artifact_folder) noexcept;

// A file below a folder: where it is, and its path from there.
struct FoundFile {
  std::string path, relative;
};
// Every regular file below `folder`, sorted. Throws FileError if it is no readable folder.
std::vector<FoundFile> files_below(const std::string& folder);

}  // namespace trainhost::track
