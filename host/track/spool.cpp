// Segments, positions, the end of a spool.
#include "host/track/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/base/sync.h"
#include "host/track/frame.h"

namespace trainhost::track {
namespace {

constexpr size_t kRoom = size_t{1} << 20;  // kept for the next record
constexpr int kTries = 30;                 // at a folder that another process is about to remove

bool may_drop(RecordKind kind) { return kind == RecordKind::metric || kind == RecordKind::text; }

}  // namespace

Spool::Spool(Adopted, const std::string& folder, std::string run, SpoolOptions options)
    : folder_(folder, run),
      run_(std::move(run)),
      options_(options),
      // The folder of .trainhost was there before us.
      named_{file::folder_of(file::folder_of(file::folder_of(folder_.path())))} {}

Spool::Spool(const std::string& folder, std::string run, std::string store, SpoolOptions options)
    : Spool(Adopted(), folder, std::move(run), options) {
  store_ = std::move(store);
  id_ = new_id().substr(0, 12);
  // Whoever removes a spool removes the folders that it leaves empty: those of this one too, until it has its files.
  for (int tries = 1;; ++tries) {
    int code = 0;
    try {
      file::mkdir(folder_.spool());
    } catch (const Error&) {
      if (tries == kTries) throw;
      code = ENOENT;
    }
    if (!code) code = folder_.lock(true);
    const bool locked = !code;
    if (locked && open_segment()) return;
    if (locked) code = errno;
    const bool passing = code == ENOENT || code == ENOTDIR || code == EBUSY || code == ESTALE;
    if (tries == kTries || !passing) {
      if (code != EBUSY) folder_.remove();
      if (locked) throw_io("cannot write '" + folder_.segment(0) + "': " + std::strerror(code));
      folder_.throw_unlocked(code);
    }
    folder_.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(100 * tries));
  }
}

Spool::~Spool() { close_files(); }

void Spool::close_files() noexcept {
  if (in_ >= 0) ::close(std::exchange(in_, -1));
  if (out_ >= 0) ::close(std::exchange(out_, -1));
}

bool Spool::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(out_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Under the mutex, or before anybody has the spool.
bool Spool::open_segment() {
  const int fd = ::open(folder_.segment(end_).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  if (out_ >= 0) ::close(out_);
  out_ = fd;
  Record header;
  header.kind = kHeader;
  header.run = run_;
  header.key = id_;
  header.value = store_;
  std::string frame;
  append_frame(frame, header);
  if (!write_all(frame)) {
    const int code = errno;
    ::unlink(folder_.segment(end_).c_str());
    errno = code;
    return false;
  }
  segments_.push_back(end_);
  end_ += frame.size();
  return true;
}

void Spool::note(const Record& record) {
  if (record.kind == RecordKind::end_run) ended_ = true;
  if (record.kind == RecordKind::start_run || record.kind == RecordKind::resume_run) {
    ended_ = false;
    began_ = record.timestamp;
  }
}

Spool::Put Spool::put(const Record& record) {
  std::lock_guard lock(mutex_);
  if (broken_ || removed_) return Put::refused;
  if (end_ - stored_ > (may_drop(record.kind) ? options_.capacity : options_.capacity * 2)) {
    ++lost;
    return Put::dropped;
  }
  if (end_ - segments_.back() >= options_.segment && !open_segment()) {
    broken_ = true;
    return Put::refused;
  }
  if (out_ < 0) out_ = ::open(folder_.segment(segments_.back()).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (out_ < 0) {
    broken_ = true;
    return Put::refused;
  }
  frame_.clear();
  append_frame(frame_, record);
  if (!write_all(frame_)) {
    // What is whole stays: the rest of this run is kept in memory, and none of it comes before what is here.
    [[maybe_unused]] const int cut = ::ftruncate(out_, static_cast<off_t>(end_ - segments_.back()));
    broken_ = true;
    return Put::refused;
  }
  end_ += frame_.size();
  if (record.kind == RecordKind::file) staged_.push_back(record.value);
  ++put_;
  note(record);
  // A run that has ended may be held for long after; one that goes on opens it again.
  if (ended_) ::close(std::exchange(out_, -1));
  if (frame_.capacity() > kRoom) frame_ = {};
  return Put::kept;
}

void Spool::stored(uint64_t position, uint64_t records) {
  std::lock_guard lock(mutex_);
  stored_ = std::max(stored_, position);
  taken_ += records;
}

bool Spool::has_spent() const {
  std::lock_guard lock(mutex_);
  return segments_.size() > 1 && segments_[1] <= stored_;
}

void Spool::remove_spent() {
  std::vector<uint64_t> gone;
  {
    std::lock_guard lock(mutex_);
    while (segments_.size() > 1 && segments_[1] <= stored_) {
      gone.push_back(segments_.front());
      segments_.pop_front();
    }
  }
  for (const uint64_t start : gone) ::unlink(folder_.segment(start).c_str());
}

void Spool::sync() {
  std::vector<std::string> paths;
  size_t staged;
  uint64_t end;
  {
    std::lock_guard lock(mutex_);
    if (removed_ || synced_ >= end_) return;
    end = end_;
    paths.swap(staged_);
    staged = paths.size();
    for (size_t i = 0; i < segments_.size(); ++i)
      if (i + 1 == segments_.size() || segments_[i + 1] > synced_) paths.push_back(folder_.segment(segments_[i]));
  }
  try {
    file::sync(paths, named_);
  } catch (const Error&) {
    std::lock_guard lock(mutex_);
    staged_.insert(staged_.end(), paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(staged));
    throw;
  }
  std::lock_guard lock(mutex_);
  synced_ = std::max(synced_, end);
}

void Spool::remove_files() noexcept {
  close_files();
  for (const uint64_t start : segments_) ::unlink(folder_.segment(start).c_str());
  folder_.remove();
}

bool Spool::remove() {
  std::lock_guard lock(mutex_);
  if (removed_) return true;
  if (!ended_ || stored_ != end_) return false;
  removed_ = true;
  remove_files();
  return true;
}

bool Spool::revive() {
  std::lock_guard lock(mutex_);
  if (removed_) return false;
  ended_ = false;
  return true;
}

void Spool::end() {
  std::lock_guard lock(mutex_);
  ended_ = true;
}

bool Spool::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

uint64_t Spool::waiting() const {
  std::lock_guard lock(mutex_);
  return put_ - taken_;
}

int64_t Spool::last_sign() const {
  std::lock_guard lock(mutex_);
  // The clock of files is some milliseconds behind.
  return std::max(began_, static_cast<int64_t>(file::modified(folder_.segment(segments_.back())) * 1000.0));
}

}  // namespace trainhost::track
