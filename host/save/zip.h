// Zip archives, as PyTorch's and numpy's files are: records by name, read with every length checked, and written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/publish.h"
#include "host/base/read_file.h"
#include "host/save/budget.h"

namespace trainhost::save {

// The CRC-32 of more bytes, however many, after those of `crc` (0: none).
uint32_t add_crc(uint32_t crc, const void* bytes, size_t size);

struct ZipEntry {
  std::string_view name;
  uint64_t header = 0;  // where its local header begins
  uint64_t limit = 0;   // where the next one begins: its bytes end before
  uint64_t stored = 0;  // its bytes in the archive
  uint64_t size = 0;    // its bytes
  uint32_t crc = 0;     // 0: not given
  bool deflated = false;
};

// The central directory of an archive. Error{io} for what is no well-formed archive of a file of this size: records
// that overlap or lie outside, names given twice, encrypted or otherwise packed records.
class ZipReader {
 public:
  ZipReader(const file::ReadFile& file, Budget& budget);

  const std::vector<ZipEntry>& entries() const noexcept { return entries_; }  // in the directory's order
  const ZipEntry* find(std::string_view name) const noexcept;
  // Where the bytes of a stored entry lie in the file.
  uint64_t data(const ZipEntry& entry) const;
  // All bytes of an entry, `entry.size` of them; checks its CRC.
  void read(const ZipEntry& entry, void* to) const;

 private:
  void read_directory(uint64_t at, uint64_t size, uint64_t count, Budget& budget);
  void find_limits(uint64_t end);
  void inflate(const ZipEntry& entry, uint64_t at, void* to) const;

  const file::ReadFile& file_;
  std::string directory_;
  std::vector<ZipEntry> entries_;
  std::vector<uint32_t> by_name_;
};

// Writes an archive into `file`: records begin at multiples of 64 bytes, so that a mapping of the file holds aligned
// tensors.
class ZipWriter {
 public:
  explicit ZipWriter(file::NewFile& file) : file_(file) {}

  // A record of `head` and, behind it, `size` bytes.
  void add(std::string name, std::string_view head, const void* bytes = nullptr, size_t size = 0, bool deflate = false);
  // The directory; nothing is added after it. The file is not published yet.
  void finish();

 private:
  struct Record {
    std::string name;
    uint64_t header, stored, size;
    uint32_t crc;
    bool deflated;
  };
  void write(const void* bytes, size_t size);

  file::NewFile& file_;
  uint64_t at_ = 0;
  std::vector<Record> records_;
};

}  // namespace trainhost::save
