// Sizes and checksums are known before a record is written, so that no data descriptors are needed.
#include <zlib.h>

#include <algorithm>

#include "host/base/error.h"
#include "host/save/zip.h"

namespace trainhost::save {
namespace {

constexpr uint64_t kMost32 = 0xffffffff;
constexpr uint64_t kAlignment = 64;

void put(std::string& text, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
}

class Packer {
 public:
  Packer() {
    if (::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw_io("zlib cannot be started");
  }
  ~Packer() { ::deflateEnd(&stream_); }
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  void add(const void* bytes, size_t size) {
    auto* in = static_cast<Bytef*>(const_cast<void*>(bytes));
    while (size > 0) {
      const auto part = static_cast<uInt>(std::min(size, size_t{1} << 30));
      stream_.next_in = in;
      stream_.avail_in = part;
      while (stream_.avail_in > 0) step(Z_NO_FLUSH);
      in += part;
      size -= part;
    }
  }

  std::string finish() {
    while (step(Z_FINISH) != Z_STREAM_END) continue;
    return std::move(out_);
  }

 private:
  int step(int flush) {
    stream_.next_out = reinterpret_cast<Bytef*>(chunk_.data());
    stream_.avail_out = static_cast<uInt>(chunk_.size());
    const int state = ::deflate(&stream_, flush);
    if (state == Z_STREAM_ERROR) throw_io("zlib cannot pack a record");
    out_.append(chunk_.data(), chunk_.size() - stream_.avail_out);
    return state;
  }

  z_stream stream_{};
  std::string out_, chunk_ = std::string(size_t{256} << 10, '\0');
};

}  // namespace

void ZipWriter::write(const void* bytes, size_t size) {
  file_.write(bytes, size);
  at_ += size;
}

void ZipWriter::add(std::string name, std::string_view head, const void* bytes, size_t count, bool deflate) {
  if (name.empty() || name.size() > 0xffff) throw_usage("zip: a record cannot have the name '" + name + "'");
  std::string small;
  if (deflate) {
    Packer packer;
    packer.add(head.data(), head.size());
    packer.add(bytes, count);
    small = packer.finish();
  }
  const uint64_t size = head.size() + count, stored = deflate ? small.size() : size;
  const uint32_t crc = add_crc(add_crc(0, head.data(), head.size()), bytes, count);
  Record record{std::move(name), at_, stored, size, crc, deflate};
  const bool large = size >= kMost32 || stored >= kMost32;

  std::string extra;
  if (large) {
    put(extra, 1, 2);
    put(extra, 16, 2);
    put(extra, size, 8);
    put(extra, stored, 8);
  }
  const uint64_t unaligned = at_ + 30 + record.name.size() + extra.size() + 4;
  const uint64_t padding = (kAlignment - unaligned % kAlignment) % kAlignment;
  put(extra, 0x4246, 2);  // "FB", as PyTorch names it
  put(extra, padding, 2);
  extra.append(padding, 'Z');

  std::string header;
  put(header, 0x04034b50, 4);
  put(header, large ? 45 : 20, 2);
  put(header, 0x800, 2);  // names are UTF-8
  put(header, deflate ? 8 : 0, 2);
  put(header, 0, 2);
  put(header, 0x21, 2);  // 1980-01-01: the same bytes whenever it is written
  put(header, record.crc, 4);
  put(header, large ? kMost32 : stored, 4);
  put(header, large ? kMost32 : size, 4);
  put(header, record.name.size(), 2);
  put(header, extra.size(), 2);
  header += record.name;
  header += extra;
  write(header.data(), header.size());
  if (deflate) {
    write(small.data(), small.size());
  } else {
    write(head.data(), head.size());
    write(bytes, count);
  }
  records_.push_back(std::move(record));
}

void ZipWriter::finish() {
  const uint64_t begin = at_;
  for (const Record& record : records_) {
    std::string extra;
    for (const uint64_t value : {record.size, record.stored, record.header})
      if (value >= kMost32) put(extra, value, 8);
    std::string row;
    put(row, 0x02014b50, 4);
    put(row, extra.empty() ? 20 : 45, 2);
    put(row, extra.empty() ? 20 : 45, 2);
    put(row, 0x800, 2);
    put(row, record.deflated ? 8 : 0, 2);
    put(row, 0, 2);
    put(row, 0x21, 2);
    put(row, record.crc, 4);
    put(row, std::min(record.stored, kMost32), 4);
    put(row, std::min(record.size, kMost32), 4);
    put(row, record.name.size(), 2);
    put(row, extra.empty() ? 0 : extra.size() + 4, 2);
    row.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
    put(row, std::min(record.header, kMost32), 4);
    row += record.name;
    if (!extra.empty()) {
      put(row, 1, 2);
      put(row, extra.size(), 2);
      row += extra;
    }
    write(row.data(), row.size());
  }
  const uint64_t end = at_, size = end - begin, count = records_.size();
  std::string tail;
  if (begin >= kMost32 || size >= kMost32 || count >= 0xffff) {
    put(tail, 0x06064b50, 4);
    put(tail, 44, 8);
    put(tail, 45, 2);
    put(tail, 45, 2);
    put(tail, 0, 8);
    put(tail, count, 8);
    put(tail, count, 8);
    put(tail, size, 8);
    put(tail, begin, 8);
    put(tail, 0x07064b50, 4);
    put(tail, 0, 4);
    put(tail, end, 8);
    put(tail, 1, 4);
  }
  put(tail, 0x06054b50, 4);
  put(tail, 0, 4);
  put(tail, std::min<uint64_t>(count, 0xffff), 2);
  put(tail, std::min<uint64_t>(count, 0xffff), 2);
  put(tail, std::min(size, kMost32), 4);
  put(tail, std::min(begin, kMost32), 4);
  put(tail, 0, 2);
  write(tail.data(), tail.size());
}

}  // namespace trainhost::save
