// Bytes of a record, and where they are found again.
#include "host/track/frame.h"

#include <cstring>

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

}  // namespace trainhost::track
