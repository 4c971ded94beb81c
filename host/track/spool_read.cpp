// Records in the order in which they were put, past what is damaged.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/base/log.h"
#include "host/track/frame.h"
#include "host/track/spool.h"

namespace trainhost::track {
namespace {

constexpr size_t kBlock = size_t{1} << 20;  // read at once

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

}  // namespace

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
    in_ = ::open(folder_.segment(start).c_str(), O_RDONLY | O_CLOEXEC);
    if (in_ < 0) throw_io("cannot read '" + folder_.segment(start) + "': " + std::strerror(errno));
    in_start_ = start;
  }
  size_t wanted = std::min<uint64_t>(limit - at, kBlock);
  for (;;) {
    block_.resize(wanted);
    const ssize_t count = ::pread(in_, block_.data(), wanted, static_cast<off_t>(at - start));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_io("cannot read '" + folder_.segment(start) + "': " + std::strerror(errno));
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

void Spool::pass_over(uint64_t start, uint64_t at, uint64_t size) {
  if (!damaged_.insert(at).second) return;
  const std::string path = folder_.segment(start);
  std::string copy;
  try {
    copy = "a copy of it is '" + keep_copy(path) + "'";
  } catch (const Error& e) {
    copy = "no copy of it could be kept: " + e.message();
  }
  log::warn("mlflow: '" + path + "' is damaged at byte " + std::to_string(at - start) + ": " + std::to_string(size) +
            " bytes of what was logged to the run " + run_ + " are lost; " + copy);
}

// A power cut has taken the end of the file, after the store had it. What is put from now on gets positions that the
// store has not seen, and whether the run has ended is not known any more.
uint64_t Spool::begin_at(uint64_t position) {
  const std::deque<uint64_t> old = std::exchange(segments_, {});
  const uint64_t end = std::exchange(end_, position), skipped = put_ - taken_;
  if (!open_segment()) {
    const int code = errno;
    segments_ = old;
    end_ = end;
    throw_io("cannot write '" + folder_.segment(position) + "': " + std::strerror(code));
  }
  for (const uint64_t start : old) ::unlink(folder_.segment(start).c_str());
  stored_ = position;
  taken_ = put_;
  files_ = 0;
  ended_ = false;
  return skipped;
}

uint64_t Spool::skip(uint64_t position) {
  {
    std::lock_guard lock(mutex_);
    if (position <= stored_) return 0;
    if (position > end_) return begin_at(position);
  }
  uint64_t skipped = 0;
  for (bool more = true; more;) {
    more = false;
    const auto records = next(1000);
    uint64_t last = 0, count = 0;
    for (const Record& record : records) {
      if (record.position > position) break;
      last = record.position;
      if (record.kind == RecordKind::file) files_ -= static_cast<uint64_t>(record.step);
      ++count;
    }
    if (!count) break;
    stored(last, count);
    skipped += count;
    more = count == records.size();
  }
  return skipped;
}

}  // namespace trainhost::track
