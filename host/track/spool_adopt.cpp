// What a process has left that is no more.
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/track/frame.h"
#include "host/track/spool.h"

namespace trainhost::track {

// Reads what is there: how many records, whether the run has ended, where the last whole record ends.
void Spool::scan() {
  end_ = stored_ = segments_.front();
  for (size_t i = 0; i < segments_.size(); ++i) {
    const uint64_t start = segments_[i];
    const bool last = i + 1 == segments_.size();
    const std::string bytes = file::read(folder_.segment(start));
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
        if (frame->first.kind == RecordKind::file) files_ += static_cast<uint64_t>(frame->first.step);
        note(frame->first);
        continue;
      }
      id_ = frame->first.key;
      store_ = frame->first.value;
    }
    if (!last && end_ != segments_[i + 1]) pass_over(start, end_, segments_[i + 1] - end_);
    // A call that was cut short by the end of its process has not returned: its half is nobody's.
    if (last && !rest.empty()) [[maybe_unused]]
      const int cut = ::truncate(folder_.segment(start).c_str(), static_cast<off_t>(end_ - start));
  }
}

// Read without the lock; empty: there is no segment, or it does not say.
std::string Spool::store_of_header() const {
  std::string bytes(4096, '\0');
  std::ifstream first(folder_.segment(segments_.empty() ? 0 : segments_.front()), std::ios::binary);
  first.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(first.gcount()));
  const auto frame = read_frame(bytes);
  return frame && frame->first.kind == kHeader ? frame->first.value : "";
}

std::shared_ptr<Spool> Spool::adopt(const std::string& folder, const std::string& run, SpoolOptions options,
                                    const std::function<bool(const std::string&)>& wanted) {
  std::shared_ptr<Spool> spool(new Spool(Adopted(), folder, run, options));
  spool->segments_ = spool->folder_.segments();
  const bool has_segments = !spool->segments_.empty();
  if (has_segments && wanted && !wanted(spool->store_of_header())) return nullptr;
  // A process that begins has the lock before it has a segment: only what has one is given a lock that is missing.
  switch (const int code = spool->folder_.lock(has_segments)) {
    case 0:
      break;
    case ENOENT:
      spool->folder_.remove();
      return nullptr;
    case EBUSY:
    case ESTALE:
    case ENOTDIR:
    case EACCES:
      return nullptr;
    default:
      spool->folder_.throw_unlocked(code);
  }
  spool->segments_ = spool->folder_.segments();
  if (spool->segments_.empty()) {
    spool->folder_.remove();
    return nullptr;
  }
  spool->scan();
  if (spool->store_.empty()) {
    if (spool->put_ > 0 || !spool->damaged_.empty())
      throw_io("'" + spool->folder_.segment(spool->segments_.front()) +
               "' is damaged: it does not say which store it is for");
    spool->remove_files();  // it had just been made
    return nullptr;
  }
  return spool;
}

}  // namespace trainhost::track
