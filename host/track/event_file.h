// TensorBoard's event files: records with checksums, written behind the back of the training.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/track/file_sink.h"
#include "host/track/queue.h"

namespace trainhost::track {

// The name of this machine, as file and folder names have it.
std::string host_name();

// A record of TensorFlow's files: length, its masked CRC-32C, the bytes, their masked CRC-32C.
void append_record(std::string& to, std::string_view bytes);

// Stores events, each the `value` of a record, at the end of one file. A write that fails leaves whole records only.
class EventSink : public Sink {
 public:
  // Makes the file, or empties it. Error{io}.
  explicit EventSink(std::string path);
  ~EventSink() override;
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;

  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override;
  std::string name() const override { return path_; }
  // Did the last write fail?
  const std::atomic<bool>& is_failing() const noexcept { return failing_; }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;  // of what is whole
  std::string buffer_;
  std::vector<uint64_t> ends_;
  std::atomic<bool> failing_{false};
};

class EventFile;

// The event files of a process: one queue of its sender thread.
class EventFiles : public std::enable_shared_from_this<EventFiles> {
 public:
  // `sender`: the thread of others; none: one of its own.
  explicit EventFiles(QueueOptions options = {}, std::shared_ptr<Sender> sender = nullptr);
  // Stores what waits: ten seconds at most, one if the disk refuses. The log says what was left.
  ~EventFiles();
  EventFiles(const EventFiles&) = delete;
  EventFiles& operator=(const EventFiles&) = delete;

  // The one of this process: made when first asked for, kept while anybody holds it; drained at the end of a process
  // that does not let it go.
  static std::shared_ptr<EventFiles> shared();
  // Waits until the events of this process that were added before the call are on the disk: ten seconds at most, and
  // not for a disk that refuses.
  static void settle();

  // Hands over a file to be written whole, in a folder that is there; returns in microseconds.
  void write_file(std::string path, std::string bytes);
  // Has somebody a file of this name, without its folder? No two files of a process have the same.
  bool is_open(const std::string& name);
  enum class Flushed { yes, not_yet, failing };
  // Waits until these are on the disk, for `limit` at most, and not for a disk that refuses or one that has held the
  // thread for ten seconds.
  Flushed flush_files(std::chrono::milliseconds limit);

 private:
  friend class EventFile;
  Flushed flush(Queue::Lane lane, const std::atomic<bool>& failing, std::chrono::milliseconds limit);
  bool is_failing();
  void close();

  std::shared_ptr<Queue> queue_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<EventSink>> sinks_;
  std::set<std::string> open_;       // names of files that are not let go of
  std::shared_ptr<FileSink> whole_;  // made with the first file that is written whole
  Queue::Lane whole_lane_ = 0;
};

// One file. Any thread.
class EventFile {
 public:
  // Makes FOLDER/events.out.tfevents.TIME.HOST.PID.N + suffix and writes its first event. Error{io}.
  EventFile(std::shared_ptr<EventFiles> files, const std::string& folder, const std::string& suffix);
  // Returns at once; what was added is written, and the file closed, by the thread.
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Hands an encoded event over and returns in about a microsecond; see Note [A full queue] in queue.cpp.
  void add(std::string event);
  using Flushed = EventFiles::Flushed;
  // Waits until what was added is on the disk, as flush_files does.
  Flushed flush(std::chrono::milliseconds limit);

  const std::string& path() const noexcept { return path_; }

 private:
  std::shared_ptr<EventFiles> files_;
  std::shared_ptr<EventSink> sink_;
  std::string path_;
  Queue::Lane lane_ = 0;
};

}  // namespace trainhost::track
