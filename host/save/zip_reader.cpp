// Only the central directory is believed, and only after its records were found to lie one behind the other.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>

#include "host/save/zip.h"

namespace trainhost::save {
namespace {

constexpr uint64_t kMost32 = 0xffffffff;
constexpr size_t kChunk = size_t{256} << 10;

uint64_t number(const char* at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(at[i]);
  return value;
}

std::string in_quotes(std::string_view text) {
  std::string quoted = "'";
  quoted.append(text.substr(0, 80)).append(text.size() > 80 ? "...'" : "'");
  return quoted;
}

}  // namespace

uint32_t add_crc(uint32_t crc, const void* bytes, size_t size) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (size_t done = 0; done < size;) {
    const auto part = static_cast<uInt>(std::min(size - done, size_t{1} << 30));
    crc = static_cast<uint32_t>(::crc32(crc, at + done, part));
    done += part;
  }
  return crc;
}

ZipReader::ZipReader(const file::ReadFile& file, Budget& budget) : file_(file) {
  constexpr uint64_t kEnd = 22, kLocator = 20, kEnd64 = 56;
  if (file.size() < kEnd) file.fail("is no zip archive: it holds " + std::to_string(file.size()) + " bytes");
  // The end record is last, but for a comment of at most 64 KiB.
  const uint64_t tail_size = std::min<uint64_t>(file.size(), kEnd + 0xffff + kLocator);
  std::string tail(tail_size, '\0');
  file.read(file.size() - tail_size, tail.data(), tail_size);
  const size_t found = tail.rfind("PK\5\6", tail_size - kEnd);
  if (found == std::string::npos) file.fail("is a damaged zip archive: it has no end record");
  const char* end = tail.data() + found;
  const uint64_t end_at = file.size() - tail_size + found;
  if (number(end + 20, 2) > tail_size - found - kEnd) file.fail("is a damaged zip archive: its comment is cut");
  if (number(end + 4, 2) != number(end + 6, 2)) file.fail("is one part of a zip archive of several files");
  uint64_t count = number(end + 10, 2), size = number(end + 12, 4), at = number(end + 16, 4);
  uint64_t directory_end = end_at;
  if (found >= kLocator && tail.compare(found - kLocator, 4, "PK\6\7") == 0) {
    const uint64_t end64_at = number(end - kLocator + 8, 8);
    if (end64_at > end_at || end_at - end64_at < kEnd64)
      file.fail("is a damaged zip archive: its zip64 end record lies outside");
    std::array<char, kEnd64> end64;
    file.read(end64_at, end64.data(), end64.size());
    if (number(end64.data(), 4) != 0x06064b50) file.fail("is a damaged zip archive: it has no zip64 end record");
    count = number(end64.data() + 32, 8);
    size = number(end64.data() + 40, 8);
    at = number(end64.data() + 48, 8);
    directory_end = end64_at;
  }
  if (at > directory_end || size > directory_end - at)
    file.fail("is a damaged zip archive: its directory lies outside of the file");
  read_directory(at, size, count, budget);
  find_limits(at);
}

void ZipReader::read_directory(uint64_t at, uint64_t size, uint64_t count, Budget& budget) {
  constexpr uint64_t kRow = 46;
  if (count > size / kRow)
    file_.fail("is a damaged zip archive: " + std::to_string(count) + " records in a directory of " +
               std::to_string(size) + " bytes");
  budget.take(size + count * (sizeof(ZipEntry) + sizeof(uint32_t)));
  directory_.resize(size);
  file_.read(at, directory_.data(), size);
  entries_.reserve(count);
  const char *row = directory_.data(), *end = row + size;
  for (uint64_t i = 0; i < count; ++i) {
    const auto bad = [&](const char* what) {
      file_.fail("is a damaged zip archive: record " + std::to_string(i) + " " + what);
    };
    if (static_cast<uint64_t>(end - row) < kRow || number(row, 4) != 0x02014b50) bad("of its directory is missing");
    const uint64_t name = number(row + 28, 2), extra = number(row + 30, 2), comment = number(row + 32, 2);
    if (static_cast<uint64_t>(end - row) - kRow < name + extra + comment) bad("of its directory is cut");
    ZipEntry entry;
    entry.name = std::string_view(row + kRow, name);
    const uint64_t method = number(row + 10, 2);
    if (number(row + 8, 2) & 0x41) bad("is encrypted, which is not supported");
    if (method != 0 && method != 8) bad("is packed by a method that is not supported (only deflate is)");
    entry.deflated = method == 8;
    entry.crc = static_cast<uint32_t>(number(row + 16, 4));
    entry.stored = number(row + 20, 4);
    entry.size = number(row + 24, 4);
    entry.header = number(row + 42, 4);
    // The zip64 field holds, in this order, those that did not fit.
    for (const char* field = row + kRow + name; field + 4 <= row + kRow + name + extra;) {
      const uint64_t id = number(field, 2), length = number(field + 2, 2);
      const char *part = field + 4, *part_end = part + length;
      if (part_end > row + kRow + name + extra) bad("has a damaged extra field");
      if (id == 1)
        for (uint64_t* each : {&entry.size, &entry.stored, &entry.header}) {
          if (*each != kMost32) continue;
          if (part_end - part < 8) bad("has a damaged zip64 field");
          *each = number(part, 8);
          part += 8;
        }
      field = part_end;
    }
    if (!entry.deflated && entry.stored != entry.size) bad("is stored with two sizes that differ");
    entries_.push_back(entry);
    row += kRow + name + extra + comment;
  }
  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return entries_[a].name < entries_[b].name; });
  const auto twice = std::adjacent_find(by_name_.begin(), by_name_.end(),
                                        [&](uint32_t a, uint32_t b) { return entries_[a].name == entries_[b].name; });
  if (twice != by_name_.end()) file_.fail("has the record " + in_quotes(entries_[*twice].name) + " twice");
}

void ZipReader::find_limits(uint64_t end) {
  constexpr uint64_t kHeader = 30;
  std::vector<uint32_t> order(by_name_);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return entries_[a].header > entries_[b].header; });
  for (const uint32_t i : order) {  // from the last to the first
    ZipEntry& entry = entries_[i];
    entry.limit = end;
    const uint64_t least = kHeader + entry.name.size();
    if (entry.header > end || end - entry.header < least || end - entry.header - least < entry.stored)
      file_.fail("is a damaged zip archive: the record " + in_quotes(entry.name) +
                 " overlaps another or lies outside of the file");
    end = entry.header;
  }
}

const ZipEntry* ZipReader::find(std::string_view name) const noexcept {
  const auto place = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [&](uint32_t i, std::string_view n) { return entries_[i].name < n; });
  return place != by_name_.end() && entries_[*place].name == name ? &entries_[*place] : nullptr;
}

uint64_t ZipReader::data(const ZipEntry& entry) const {
  std::array<char, 30> header;
  file_.read(entry.header, header.data(), header.size());
  const uint64_t at = entry.header + header.size() + number(header.data() + 26, 2) + number(header.data() + 28, 2);
  if (number(header.data(), 4) != 0x04034b50 || number(header.data() + 26, 2) != entry.name.size() ||
      (number(header.data() + 8, 2) == 8) != entry.deflated)
    file_.fail("is a damaged zip archive: the record " + in_quotes(entry.name) +
               " has a header of its own that differs");
  if (at > entry.limit || entry.limit - at < entry.stored)
    file_.fail("is a damaged zip archive: the record " + in_quotes(entry.name) + " overlaps another");
  return at;
}

void ZipReader::read(const ZipEntry& entry, void* to) const {
  const uint64_t at = data(entry);
  if (entry.deflated) inflate(entry, at, to);
  else file_.read(at, to, entry.size);
  // PyTorch leaves 0 when told not to compute it.
  if (entry.crc != 0 && add_crc(0, to, entry.size) != entry.crc)
    file_.fail("is damaged: the checksum of the record " + in_quotes(entry.name) + " does not fit its bytes");
}

void ZipReader::inflate(const ZipEntry& entry, uint64_t at, void* to) const {
  const auto bad = [&] { file_.fail("is damaged: the record " + in_quotes(entry.name) + " cannot be unpacked"); };
  struct Stream : z_stream {
    Stream() : z_stream{} { ready = ::inflateInit2(this, -MAX_WBITS) == Z_OK; }
    ~Stream() { ::inflateEnd(this); }
    bool ready;
  } stream;
  if (!stream.ready) bad();
  std::string chunk(static_cast<size_t>(std::min<uint64_t>(entry.stored, kChunk)), '\0');
  auto* out = static_cast<Bytef*>(to);
  uint64_t left = entry.stored, wanted = entry.size;
  Bytef beyond = 0;  // room for one byte more than was promised
  for (int state = Z_OK; state != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      if (left == 0) bad();
      const auto part = static_cast<size_t>(std::min<uint64_t>(left, chunk.size()));
      file_.read(at, chunk.data(), part);
      at += part;
      left -= part;
      stream.next_in = reinterpret_cast<Bytef*>(chunk.data());
      stream.avail_in = static_cast<uInt>(part);
    }
    const auto room = static_cast<uInt>(std::min<uint64_t>(wanted, 1U << 30));
    stream.next_out = room ? out : &beyond;
    stream.avail_out = room ? room : 1;
    state = ::inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END && !(state == Z_BUF_ERROR && stream.avail_in == 0)) bad();
    if (room == 0 && stream.avail_out == 0) bad();
    if (room) {
      out += room - stream.avail_out;
      wanted -= room - stream.avail_out;
    }
  }
  if (wanted != 0) bad();
}

}  // namespace trainhost::save
