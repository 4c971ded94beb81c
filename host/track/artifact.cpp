// Snapshots by copy, reflink or hard link; publication by rename.
#include "host/track/artifact.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/track/record.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

// Note [Staged files]
// A script may delete or rewrite a file as soon as log_artifact has returned, and must not wait for gigabytes to be
// copied. So the call takes a snapshot into a folder beside the run's artifacts, and the sender thread publishes it:
// files of 1 MiB or less are copied (a millisecond), larger ones share their blocks where the file system can
// (FICLONE: btrfs, xfs), else they get a second name (a hard link), else (another file system) they are copied after
// all. A hard link outlives the deletion and the replacement of its source, but not a rewriting in place: that is
// detected by size and time when the file is published, and reported.
constexpr int64_t kSmall = int64_t{1} << 20;
constexpr size_t kBlock = size_t{4} << 20;  // copied at once

[[noreturn]] void fail(const char* what, const std::string& path) {
  const int code = errno;
  throw FileError(std::string("mlflow: cannot ") + what + " '" + path + "': " + std::strerror(code), code);
}

class File {
 public:
  File(const std::string& path, int flags) : path_(path), handle_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (handle_ < 0) fail((flags & O_CREAT) ? "create" : "read", path);
  }
  ~File() {
    if (handle_ >= 0) ::close(handle_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int handle() const noexcept { return handle_; }
  void close() {
    const int handle = handle_;
    handle_ = -1;
    if (::close(handle) != 0) fail("write", path_);
  }
  void write(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ::write(handle_, data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write", path_);
      data.remove_prefix(static_cast<size_t>(n));
    }
  }

 private:
  std::string path_;
  int handle_;
};

std::string staging_of(const std::string& artifact_folder) {
  return (fs::path(artifact_folder).parent_path() / ".incoming").string();
}

void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError("mlflow: cannot create the folder '" + folder + "': " + error.message(), error.value());
}

std::string new_stage(const std::string& artifact_folder) {
  const std::string folder = staging_of(artifact_folder);
  make_folder(folder);
  return folder + "/" + new_id();
}

// `bound`: told how much of it is copied.
void copy(const std::string& source, const std::string& target, const Bound& bound = {}) {
  uint64_t copied = 0;
  File in(source, O_RDONLY);
  File out(target, O_WRONLY | O_CREAT | O_TRUNC);
  bool by_kernel = true;
  std::string buffer;
  for (;;) {
    ssize_t n;
    if (by_kernel) {
      n = ::copy_file_range(in.handle(), nullptr, out.handle(), nullptr, kBlock, 0);
      if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
        by_kernel = false;
        buffer.resize(kBlock);
        continue;
      }
    } else {
      n = ::read(in.handle(), buffer.data(), buffer.size());
      if (n > 0) out.write(std::string_view(buffer.data(), static_cast<size_t>(n)));
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("copy", source);
    if (n == 0) break;
    copied += static_cast<uint64_t>(n);
    if (bound) bound(source, copied);
  }
  out.close();
}

bool reflink(const std::string& source, const std::string& target) {
  File in(source, O_RDONLY);
  const int out = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (out < 0) return false;
  const bool done = ::ioctl(out, FICLONE, in.handle()) == 0;
  ::close(out);
  if (!done) ::unlink(target.c_str());
  return done;
}

struct stat look(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) fail("read", path);
  return info;
}

int64_t changed_ns(const struct stat& info) {
  return static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

bool is_same(const struct stat& info, const StagedFile& staged) {
  return info.st_size == staged.size && changed_ns(info) == staged.changed_ns;
}

void move_into_place(const std::string& from, const std::string& artifact_folder, const std::string& path) {
  const fs::path target = fs::path(artifact_folder) / path;
  make_folder(target.parent_path().string());
  if (::rename(from.c_str(), target.c_str()) != 0) fail("write", target.string());
}

}  // namespace

bool FileError::may_pass() const noexcept {
  static constexpr std::array<int, 7> kPassing = {ENOSPC, EDQUOT, EIO, EAGAIN, EMFILE, ENFILE, EINTR};
  return std::find(kPassing.begin(), kPassing.end(), code_) != kPassing.end();
}

std::optional<std::string> local_folder(const std::string& uri) {
  const size_t scheme = uri.find(":/");
  if (scheme == std::string::npos) return uri;
  if (uri.compare(0, scheme, "file") != 0) return uri.starts_with('/') ? std::optional(uri) : std::nullopt;
  std::string_view rest = std::string_view(uri).substr(scheme + 1);
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    if (rest.starts_with("localhost/")) rest.remove_prefix(9);
    if (!rest.starts_with('/')) return std::nullopt;
  }
  std::string path;
  const auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '%' && i + 2 < rest.size() && std::isxdigit(static_cast<unsigned char>(rest[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(rest[i + 2]))) {
      path += static_cast<char>(hex(rest[i + 1]) * 16 + hex(rest[i + 2]));
      i += 2;
    } else {
      path += rest[i];
    }
  }
  return path;
}

StagedFile stage_file(const std::string& source, const std::string& artifact_folder) {
  const struct stat info = look(source);
  if (!S_ISREG(info.st_mode)) throw FileError("mlflow: cannot log '" + source + "': it is not a file", EINVAL);
  File readable(source, O_RDONLY);
  StagedFile staged{new_stage(artifact_folder), info.st_size, 0};
  const char* from = source.c_str();
  if (info.st_size <= kSmall || (!reflink(source, staged.path) &&
                                 ::linkat(AT_FDCWD, from, AT_FDCWD, staged.path.c_str(), AT_SYMLINK_FOLLOW) != 0)) {
    try {
      copy(source, staged.path);
    } catch (const Error&) {
      ::unlink(staged.path.c_str());
      throw;
    }
  }
  const struct stat made = look(staged.path);
  staged.size = made.st_size;
  staged.changed_ns = changed_ns(made);
  return staged;
}

bool is_as_staged(const StagedFile& staged) { return is_same(look(staged.path), staged); }

bool publish_file(const StagedFile& staged, const std::string& artifact_folder, const std::string& path,
                  const Bound& bound) {
  struct stat before;
  if (::stat(staged.path.c_str(), &before) != 0) {
    // A success that was not written down.
    if (errno == ENOENT && fs::exists(fs::path(artifact_folder) / path)) return true;
    fail("read", staged.path);
  }
  if (before.st_nlink == 1) {  // nobody else has a name for it
    move_into_place(staged.path, artifact_folder, path);
    return is_same(before, staged);
  }
  const std::string own = staged.path + ".copy";
  try {
    copy(staged.path, own, bound);
    const bool unchanged = is_as_staged(staged);
    move_into_place(own, artifact_folder, path);
    ::unlink(staged.path.c_str());
    return unchanged;
  } catch (const Error&) {
    ::unlink(own.c_str());
    throw;
  }
}

void publish_text(std::string_view content, const std::string& artifact_folder, const std::string& path) {
  const std::string stage = new_stage(artifact_folder);
  try {
    File out(stage, O_WRONLY | O_CREAT | O_EXCL);
    out.write(content);
    out.close();
    move_into_place(stage, artifact_folder, path);
  } catch (const Error&) {
    ::unlink(stage.c_str());
    throw;
  }
}

bool remove_staged(const std::string& path) noexcept {
  if (::unlink(path.c_str()) != 0) return false;
  std::string folder = file::folder_of(path);
  for (int i = 0; i < 4 && ::rmdir(folder.c_str()) == 0; ++i) folder = file::folder_of(folder);
  return true;
}

void remove_staging(const std::string& artifact_folder) noexcept { ::rmdir(staging_of(artifact_folder).c_str()); }

std::vector<FoundFile> files_below(const std::string& folder) {
  std::vector<FoundFile> found;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  if (error) throw FileError("mlflow: cannot read the folder '" + folder + "': " + error.message(), error.value());
  for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_regular_file(error))
      found.push_back({at->path().string(), at->path().lexically_relative(folder).string()});
    if (error) throw FileError("mlflow: cannot read '" + at->path().string() + "': " + error.message(), error.value());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.relative < b.relative; });
  return found;
}

}  // namespace trainhost::track
