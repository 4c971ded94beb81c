// Frames, segments, the lock.
#include "host/track/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>
#include <utility>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/track/crc32c.h"

namespace trainhost::track {
namespace {

constexpr size_t kRunAt = kFrame + 1;  // the run's size, then the run

template <class Number>
void add(std::string& to, Number value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void add_text(std::string& to, std::string_view text) {
  add(to, static_cast<uint32_t>(text.size()));
  to.append(text);
}

template <class Number>
bool take(std::string_view& from, Number& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
  return true;
}

bool take_text(std::string_view& from, std::string& text) {
  uint32_t size = 0;
  if (!take(from, size) || from.size() < size) return false;
  text.assign(from.substr(0, size));
  from.remove_prefix(size);
  return true;
}

constexpr std::string_view kSuffix = ".log";

// A copy beside it, but if there is one already of what was here then.
std::string keep_copy(const std::string& path) {
  const std::string bytes = file::read(path);
  for (int i = 0;; ++i) {
    std::string to = path + (i ? "." + std::to_string(i) : "") + ".damaged";
    if (!file::exists(to)) file::write_atomic(to, bytes);
    else if (!bytes.starts_with(file::read(to))) continue;
    return to;
  }
}

constexpr size_t kBlock = size_t{1} << 20;  // read at once
constexpr int kTries = 6;                   // at a folder that another process is about to remove

// Note [The lock of a spool]
// A lock of fcntl goes with its process, however that ends, is not inherited by a fork, and works on NFS. But it is
// gone too when the process closes any descriptor of the file: a process does not open the locks that it holds.
std::mutex held_mutex;
std::set<std::string> held;

bool may_drop(RecordKind kind) { return kind == RecordKind::metric || kind == RecordKind::text; }

}  // namespace

void append_frame(std::string& to, const Record& record) {
  const size_t at = to.size();
  to.append(kFrame, '\0');
  to.push_back(static_cast<char>(record.kind));
  add_text(to, record.run);
  add_text(to, record.key);
  add_text(to, record.value);
  add_text(to, record.extra);
  add(to, record.number);
  add(to, record.step);
  add(to, record.timestamp);
  const auto size = static_cast<uint32_t>(to.size() - at - kFrame);
  std::memcpy(&to[at + 4], &size, sizeof size);
  const uint32_t crc = crc32c(&to[at + 4], sizeof size + size);
  std::memcpy(&to[at], &crc, sizeof crc);
}

std::optional<std::pair<Record, size_t>> read_frame(std::string_view bytes) {
  uint32_t crc = 0, size = 0;
  std::string_view rest = bytes;
  if (!take(rest, crc) || !take(rest, size) || rest.size() < size) return std::nullopt;
  if (crc32c(bytes.data() + 4, sizeof size + size) != crc) return std::nullopt;
  rest = rest.substr(0, size);
  Record record;
  uint8_t kind = 0;
  if (!take(rest, kind) || !take_text(rest, record.run) || !take_text(rest, record.key) ||
      !take_text(rest, record.value) || !take_text(rest, record.extra) || !take(rest, record.number) ||
      !take(rest, record.step) || !take(rest, record.timestamp))
    return std::nullopt;
  record.kind = static_cast<RecordKind>(kind);
  return std::pair(std::move(record), kFrame + size);
}

// All frames of a spool hold its run, which is much faster found than a checksum is right.
size_t find_frame(std::string_view bytes, std::string_view run) {
  std::string mark;
  add_text(mark, run);
  for (size_t from = 1 + kRunAt;; ++from) {
    from = bytes.find(mark, from);
    if (from == std::string_view::npos) return bytes.size();
    if (read_frame(bytes.substr(from - kRunAt))) return from - kRunAt;
  }
}

bool is_cut_short(std::string_view bytes) {
  uint32_t crc = 0, size = 0;
  return !take(bytes, crc) || !take(bytes, size) || bytes.size() < size;
}

Spool::Spool(Adopted, std::string folder, std::string run, SpoolOptions options)
    : folder_(file::absolute(folder) + "/" + run), run_(std::move(run)), options_(options), pid_(::getpid()) {}

Spool::Spool(std::string folder, std::string run, std::string store, SpoolOptions options)
    : Spool(Adopted(), std::move(folder), std::move(run), options) {
  store_ = std::move(store);
  id_ = new_id().substr(0, 12);
  // Whoever removes a spool removes the folders that it leaves empty: those of this one too, until it has its files.
  for (int tries = 1;; ++tries) {
    int code = 0;
    try {
      file::mkdir(folder_ + "/spool");
    } catch (const Error&) {
      if (tries == kTries) throw;
      code = ENOENT;
    }
    if (!code) code = lock(true);
    const bool locked = !code;
    if (locked && open_segment()) return;
    if (locked) code = errno;
    const bool passing = code == ENOENT || code == ENOTDIR || code == EBUSY || code == ESTALE;
    if (tries == kTries || !passing) {
      if (locked) throw_io("cannot write '" + path_of(0) + "': " + std::strerror(code));
      throw_unlocked(code);
    }
    unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(tries));
  }
}

Spool::~Spool() {
  close_files();
  if (pid_ == ::getpid()) unlock();
}

void Spool::close_files() noexcept {
  if (in_ >= 0) ::close(std::exchange(in_, -1));
  if (out_ >= 0) ::close(std::exchange(out_, -1));
}

std::string Spool::path_of(uint64_t start) const {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%016llx", static_cast<unsigned long long>(start));
  return folder_ + "/spool/" + name.data() + std::string(kSuffix);
}

// Of this process alone. 0; EBUSY: another process, or another spool of this one, has it; ESTALE: it has just been
// removed; what else the system says.
int Spool::lock(bool make) {
  std::lock_guard guard(held_mutex);
  if (held.contains(folder_)) return EBUSY;
  const std::string path = folder_ + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0666);
  if (fd < 0) return errno;
  struct flock range {};
  range.l_type = F_WRLCK;
  int code = 0;
  if (::fcntl(fd, F_SETLK, &range) != 0) {
    code = errno == EAGAIN || errno == EACCES ? EBUSY : errno;
  } else {
    struct stat mine {
    }, there{};
    if (::fstat(fd, &mine) != 0 || ::stat(path.c_str(), &there) != 0 || mine.st_ino != there.st_ino ||
        mine.st_dev != there.st_dev)
      code = ESTALE;
  }
  if (code) {
    ::close(fd);
    return code;
  }
  lock_ = fd;
  held.insert(folder_);
  return 0;
}

void Spool::throw_unlocked(int code) const {
  if (code == EBUSY) throw_io("another process holds '" + folder_ + "'");
  throw_io("cannot lock '" + folder_ + "/lock': " + std::strerror(code));
}

void Spool::unlock() noexcept {
  if (lock_ < 0) return;
  std::lock_guard guard(held_mutex);
  ::close(std::exchange(lock_, -1));
  held.erase(folder_);
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
  const int fd = ::open(path_of(end_).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
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
    [[maybe_unused]] const int cut = ::ftruncate(out_, 0);
    return false;
  }
  segments_.push_back(end_);
  end_ += frame.size();
  return true;
}

void Spool::note(const Record& record) {
  if (record.kind == RecordKind::end_run) ended_ = true;
  if (record.kind == RecordKind::start_run || record.kind == RecordKind::resume_run) ended_ = false;
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
  if (out_ < 0) out_ = ::open(path_of(segments_.back()).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
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
  ++put_;
  note(record);
  // A run that has ended may be held for long after; one that goes on opens it again.
  if (ended_) ::close(std::exchange(out_, -1));
  if (frame_.capacity() > kBlock) frame_ = {};
  return Put::kept;
}

std::vector<Record> Spool::next(size_t most) {
  std::vector<Record> records;
  uint64_t at, end, start = 0, limit = 0;
  {
    std::lock_guard lock(mutex_);
    at = stored_;
    end = end_;
    for (const uint64_t each : segments_) {
      if (each <= at) start = each;
      else if (!limit) limit = each;
    }
    if (!limit) limit = end;
  }
  if (at >= end) return records;
  if (in_ < 0 || in_start_ != start) {
    if (in_ >= 0) ::close(in_);
    in_ = ::open(path_of(start).c_str(), O_RDONLY | O_CLOEXEC);
    if (in_ < 0) throw_io("cannot read '" + path_of(start) + "': " + std::strerror(errno));
    in_start_ = start;
  }
  size_t wanted = std::min<uint64_t>(limit - at, kBlock);
  for (;;) {
    block_.resize(wanted);
    const ssize_t count = ::pread(in_, block_.data(), wanted, static_cast<off_t>(at - start));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io("cannot read '" + path_of(start) + "': " + std::strerror(errno));
    block_.resize(static_cast<size_t>(count));
    std::string_view rest = block_;
    while (records.size() < most) {
      auto frame = read_frame(rest);
      if (!frame) break;
      rest.remove_prefix(frame->second);
      frame->first.spool = id_;
      frame->first.position = at + static_cast<uint64_t>(rest.data() - block_.data());
      records.push_back(std::move(frame->first));
    }
    if (!records.empty()) break;
    if (static_cast<size_t>(count) < wanted || wanted == limit - at) {
      const size_t found = find_frame(block_, run_);
      const uint64_t size = found < block_.size() ? found : limit - at;
      pass_over(start, at, size);
      stored(at + size, 0);
      return next(most);
    }
    wanted = limit - at;  // a record longer than a block
  }
  // Headers are positions alone.
  uint64_t headers = 0;
  for (const Record& record : records)
    if (record.kind == kHeader) headers = record.position;
  std::erase_if(records, [](const Record& record) { return record.kind == kHeader; });
  if (records.empty() && headers) {
    stored(headers, 0);
    return next(most);
  }
  if (block_.capacity() > 4 * kBlock) block_ = {};
  return records;
}

void Spool::stored(uint64_t position, uint64_t records) {
  std::vector<uint64_t> gone;
  {
    std::lock_guard lock(mutex_);
    stored_ = std::max(stored_, position);
    taken_ += records;
    while (segments_.size() > 1 && segments_[1] <= stored_) {
      gone.push_back(segments_.front());
      segments_.pop_front();
    }
  }
  for (const uint64_t start : gone) ::unlink(path_of(start).c_str());
}

bool Spool::find_segments() {
  segments_.clear();
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/spool", none)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != 16 + kSuffix.size() || !name.ends_with(kSuffix)) continue;
    uint64_t start = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + 16, start, 16);
    if (parsed.ptr == name.data() + 16) segments_.push_back(start);
  }
  std::sort(segments_.begin(), segments_.end());
  return !segments_.empty();
}

void Spool::pass_over(uint64_t start, uint64_t at, uint64_t size) {
  if (!damaged_.insert(at).second) return;
  const std::string path = path_of(start);
  std::string copy;
  try {
    copy = "a copy of it is '" + keep_copy(path) + "'";
  } catch (const Error& e) {
    copy = "no copy of it could be kept: " + e.message();
  }
  log::warn("mlflow: '" + path + "' is damaged at byte " + std::to_string(at - start) + ": " + std::to_string(size) +
            " bytes of what was logged to the run " + run_ + " are lost; " + copy);
}

// Reads what is there: how many records, whether the run has ended, where the last whole record ends.
void Spool::scan() {
  end_ = stored_ = segments_.front();
  for (size_t i = 0; i < segments_.size(); ++i) {
    const uint64_t start = segments_[i];
    const bool last = i + 1 == segments_.size();
    const std::string bytes = file::read(path_of(start));
    std::string_view rest = bytes;
    if (!last) rest = rest.substr(0, segments_[i + 1] - start);
    end_ = start;
    const auto pass = [&](size_t size) {
      rest.remove_prefix(size);
      end_ += size;
    };
    while (!rest.empty()) {
      const auto frame = read_frame(rest);
      if (!frame) {
        const size_t next = find_frame(rest, run_);
        if (last && next == rest.size() && is_cut_short(rest)) break;
        pass_over(start, end_, next);
        pass(next);
        continue;
      }
      pass(frame->second);
      if (frame->first.kind != kHeader) {
        ++put_;
        note(frame->first);
        continue;
      }
      id_ = frame->first.key;
      store_ = frame->first.value;
    }
    if (!last && end_ != segments_[i + 1]) pass_over(start, end_, segments_[i + 1] - end_);
    // A call that was cut short by the end of its process has not returned: its half is nobody's.
    if (last && !rest.empty()) [[maybe_unused]]
      const int cut = ::truncate(path_of(start).c_str(), static_cast<off_t>(end_ - start));
  }
}

std::shared_ptr<Spool> Spool::adopt(const std::string& folder, const std::string& run, SpoolOptions options) {
  std::shared_ptr<Spool> spool(new Spool(Adopted(), folder, run, options));
  // A process that begins has the lock before it has a segment: only what has one is given a lock that is missing.
  switch (const int code = spool->lock(spool->find_segments())) {
    case 0:
      break;
    case ENOENT:
      spool->remove_folders();
      return nullptr;
    case EBUSY:
    case ESTALE:
    case ENOTDIR:
    case EACCES:
      return nullptr;
    default:
      spool->throw_unlocked(code);
  }
  if (!spool->find_segments()) {
    spool->remove_folders();
    return nullptr;
  }
  spool->scan();
  if (spool->store_.empty()) {
    if (spool->put_ > 0 || !spool->damaged_.empty())
      throw_io("'" + spool->path_of(spool->segments_.front()) + "' is damaged: it does not say which store it is for");
    spool->remove_files();  // it had just been made
    return nullptr;
  }
  return spool;
}

void Spool::remove_files() noexcept {
  close_files();
  for (const uint64_t start : segments_) ::unlink(path_of(start).c_str());
  remove_folders();
}

// What is empty, up to the folder of all runs and that above it.
void Spool::remove_folders() noexcept {
  ::rmdir((folder_ + "/spool").c_str());
  if (lock_ >= 0) ::unlink((folder_ + "/lock").c_str());  // who does not hold it may not
  unlock();
  std::string path = folder_;
  for (int i = 0; i < 3 && ::rmdir(path.c_str()) == 0; ++i) path = file::folder_of(path);
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
  if (removed_ || broken_) return false;
  ended_ = false;
  return true;
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
  return static_cast<int64_t>(file::modified(path_of(segments_.back())) * 1000.0);
}

uint64_t Spool::skip(uint64_t position) {
  {
    std::lock_guard lock(mutex_);
    if (position <= stored_ || position > end_) return 0;
  }
  uint64_t skipped = 0;
  for (bool more = true; more;) {
    more = false;
    const auto records = next(1000);
    uint64_t last = 0, count = 0;
    for (const Record& record : records) {
      if (record.position > position) break;
      last = record.position;
      ++count;
    }
    if (!count) break;
    stored(last, count);
    skipped += count;
    more = count == records.size();
  }
  return skipped;
}

void Spools::tell(Spool& spool, Queue& queue, Queue::Lane lane) {
  if (spool.told.exchange(true)) return;
  ++tokens;
  Record token;
  token.kind = RecordKind::spooled;
  token.run = spool.run();
  queue.push(lane, std::move(token));
}

void Spools::add(std::shared_ptr<Spool> spool) {
  std::lock_guard lock(mutex_);
  auto& place = by_run_[spool->run()];
  place = std::move(spool);
}

std::shared_ptr<Spool> Spools::find(const std::string& run) const {
  std::lock_guard lock(mutex_);
  const auto found = by_run_.find(run);
  return found == by_run_.end() ? nullptr : found->second;
}

void Spools::drop(const Spool& spool) {
  std::shared_ptr<Spool> gone;
  std::lock_guard lock(mutex_);
  if (const auto found = by_run_.find(spool.run()); found != by_run_.end() && found->second.get() == &spool) {
    gone = std::move(found->second);
    by_run_.erase(found);
  }
}

uint64_t Spools::waiting() const {
  std::lock_guard lock(mutex_);
  uint64_t count = 0;
  for (const auto& [run, spool] : by_run_) count += spool->waiting();
  return count;
}

}  // namespace trainhost::track
