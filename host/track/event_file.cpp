// Frames, positions, the way of an event through the queue.
#include "host/track/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/track/crc32c.h"
#include "host/track/event.h"
#include "host/track/sender.h"

namespace trainhost::track {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr auto kLook = std::chrono::milliseconds(50);  // how often one who waits asks whether the disk refuses

std::mutex current_mutex;
std::weak_ptr<EventFiles> current;  // of this process

void append_crc(std::string& to, const void* bytes, size_t count) {
  const uint32_t crc = mask_crc(crc32c(bytes, count));
  to.append(reinterpret_cast<const char*>(&crc), sizeof crc);
}

void log_line(const Event& event) {
  log::warn(event.hint.empty() ? event.message : event.message + " (" + event.hint + ")");
}

std::string file_name(const std::string& folder, const std::string& suffix) {
  static std::atomic<unsigned> next{0};
  std::array<char, 24> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%010lld", static_cast<long long>(now_seconds()));
  return folder + "/events.out.tfevents." + seconds.data() + "." + host_name() + "." + std::to_string(::getpid()) +
         "." + std::to_string(next++) + suffix;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] ? name.data() : "localhost";
}

void append_record(std::string& to, std::string_view bytes) {
  const uint64_t size = bytes.size();
  to.append(reinterpret_cast<const char*>(&size), sizeof size);
  append_crc(to, &size, sizeof size);
  to.append(bytes);
  append_crc(to, bytes.data(), bytes.size());
}

EventSink::EventSink(std::string path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_io("cannot write '" + path_ + "': " + std::strerror(errno));
}

EventSink::~EventSink() {
  if (fd_ >= 0) ::close(fd_);
}

size_t EventSink::write(std::span<const Record> records, const Report&) {
  buffer_.clear();
  ends_.clear();
  for (const Record& record : records) {
    append_record(buffer_, record.value);
    ends_.push_back(buffer_.size());
    if (buffer_.size() > size_t{8} << 20) break;
  }
  size_t written = 0;
  int problem = 0;
  while (written < buffer_.size()) {
    const ssize_t count =
        ::pwrite(fd_, buffer_.data() + written, buffer_.size() - written, static_cast<off_t>(size_ + written));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      problem = count < 0 ? errno : EIO;
      break;
    }
    written += static_cast<size_t>(count);
  }
  const size_t whole =
      static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), written) - ends_.begin());  // records
  if (whole > 0) size_ += ends_[whole - 1];
  if (buffer_.capacity() > size_t{1} << 20) buffer_ = {};
  failing_ = problem != 0;
  if (!problem) return whole;
  [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(size_));  // a device cannot be cut
  if (whole > 0) return whole;
  throw_io("tensorboard: cannot write '" + path_ + "': " + std::strerror(problem));
}

void EventSink::flush() {
  failing_ = ::fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS;
  if (!failing_) return;
  throw_io("tensorboard: cannot write '" + path_ + "': " + std::strerror(errno));
}

EventFiles::EventFiles(QueueOptions options, std::shared_ptr<Sender> sender) {
  options.name = "tensorboard";
  options.droppable = "events";
  queue_ = sender ? std::make_shared<Queue>(options, log_line, std::move(sender))
                  : std::make_shared<Queue>(options, log_line);
}

EventFiles::~EventFiles() { close(); }

bool EventFiles::is_failing() {
  std::lock_guard lock(mutex_);
  return (whole_ && whole_->is_failing()) || std::any_of(sinks_.begin(), sinks_.end(), [](const auto& entry) {
           const auto sink = entry.lock();
           return sink && sink->is_failing();
         });
}

void EventFiles::close() {
  const auto limit = is_failing() ? std::chrono::seconds(1) : kPatience;
  if (const size_t left = queue_->close(limit))
    log::warn("tensorboard: " + std::to_string(left) +
              " events could not be written before the process ended: " + queue_->waiting_for());
}

std::shared_ptr<EventFiles> EventFiles::shared() {
  std::lock_guard lock(current_mutex);
  if (auto files = current.lock()) return files;
  auto files = std::make_shared<EventFiles>(QueueOptions(), Sender::shared());
  current = files;
  static const int registered = std::atexit([] {
    if (const auto left = current.lock()) left->close();
  });
  (void)registered;
  return files;
}

void EventFiles::settle() {
  std::shared_ptr<EventFiles> files;
  {
    std::lock_guard lock(current_mutex);
    files = current.lock();
  }
  if (!files) return;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const auto goes_on = [&] {
    return !files->is_failing() && !files->queue_->is_stuck(kPatience) && std::chrono::steady_clock::now() < until;
  };
  while (!files->queue_->flush(kLook) && goes_on()) {
  }
}

void EventFiles::write_file(std::string path, std::string bytes) {
  Record record;
  record.kind = RecordKind::text;
  record.key = std::move(path);
  record.value = std::move(bytes);
  {
    std::lock_guard lock(mutex_);
    if (!whole_) whole_lane_ = queue_->add(whole_ = std::make_shared<FileSink>());
  }
  queue_->push(whole_lane_, std::move(record));  // which may wait for room; the lane stays
}

bool EventFiles::is_open(const std::string& name) {
  std::lock_guard lock(mutex_);
  return open_.contains(name);
}

EventFiles::Flushed EventFiles::flush_files(std::chrono::milliseconds limit) {
  std::shared_ptr<FileSink> sink;
  {
    std::lock_guard lock(mutex_);
    sink = whole_;
  }
  return sink ? flush(whole_lane_, sink->is_failing(), limit) : Flushed::yes;
}

EventFiles::Flushed EventFiles::flush(Queue::Lane lane, const std::atomic<bool>& failing,
                                      std::chrono::milliseconds limit) {
  if (queue_->flush(limit, lane)) return Flushed::yes;
  return failing || queue_->is_stuck(kPatience) ? Flushed::failing : Flushed::not_yet;
}

EventFile::EventFile(std::shared_ptr<EventFiles> files, const std::string& folder, const std::string& suffix)
    : files_(std::move(files)) {
  file::mkdir(folder);
  path_ = file_name(folder, suffix);
  sink_ = std::make_shared<EventSink>(path_);
  Record first;
  first.value = version_event(now_seconds());
  sink_->write({&first, 1}, log_line);
  lane_ = files_->queue_->add(sink_);
  std::lock_guard lock(files_->mutex_);
  std::erase_if(files_->sinks_, [](const auto& entry) { return entry.expired(); });
  files_->sinks_.push_back(sink_);
  files_->open_.insert(name_of(path_));
}

EventFile::~EventFile() {
  {
    std::lock_guard lock(files_->mutex_);
    files_->open_.erase(name_of(path_));
  }
  sink_.reset();  // the queue has the last one: a disk may take long to close a file
  files_->queue_->release(lane_);
}

void EventFile::add(std::string event) {
  if (event.size() >= size_t{1} << 31)
    throw_usage("tensorboard: an event of " + std::to_string(event.size()) + " bytes is over the 2 GiB of its format");
  Record record;
  record.kind = RecordKind::event;
  record.value = std::move(event);
  files_->queue_->push(lane_, std::move(record));
}

EventFile::Flushed EventFile::flush(std::chrono::milliseconds limit) {
  return files_->flush(lane_, sink_->is_failing(), limit);
}

}  // namespace trainhost::track
