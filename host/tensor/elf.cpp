// The dynamic string table, found by program headers: section headers may have been stripped.
#include "host/tensor/elf.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(path, std::ios::binary | std::ios::ate) {
    if (!file_) fail("it cannot be read");
    size_ = static_cast<uint64_t>(file_.tellg());
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw_io("could not load this library: " + path_ + ": " + why);
  }

  void read(uint64_t offset, void* into, uint64_t bytes) {
    if (offset > size_ || bytes > size_ - offset) fail("it is cut off");
    file_.seekg(static_cast<std::streamoff>(offset));
    if (!file_.read(static_cast<char*>(into), static_cast<std::streamsize>(bytes))) fail("it cannot be read");
  }

  template <class T>
  T at(uint64_t offset) {
    T value{};
    read(offset, &value, sizeof value);
    return value;
  }

  uint64_t size() const { return size_; }

 private:
  std::string path_;
  std::ifstream file_;
  uint64_t size_ = 0;
};

}  // namespace

std::string dynamic_names(const std::string& path) {
  Reader reader(path);
  if (reader.size() < sizeof(Elf64_Ehdr)) reader.fail("it is no shared library");
  const auto header = reader.at<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr))
    reader.fail("it is no shared library");
  const auto segment = [&](int i) { return reader.at<Elf64_Phdr>(header.e_phoff + sizeof(Elf64_Phdr) * uint64_t(i)); };
  const auto in_file = [&](uint64_t address) -> std::optional<uint64_t> {
    for (int i = 0; i < header.e_phnum; ++i)
      if (const auto s = segment(i); s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
        return s.p_offset + (address - s.p_vaddr);
    return std::nullopt;
  };
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto dynamic = segment(i);
    if (dynamic.p_type != PT_DYNAMIC) continue;
    uint64_t names = 0, bytes = 0;
    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic.p_filesz; at += sizeof(Elf64_Dyn)) {
      const auto entry = reader.at<Elf64_Dyn>(dynamic.p_offset + at);
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_STRTAB) names = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) bytes = entry.d_un.d_val;
    }
    const auto offset = in_file(names);
    if (!offset || bytes > reader.size()) reader.fail("it is damaged");
    std::string text(bytes, '\0');
    reader.read(*offset, text.data(), bytes);
    return text;
  }
  reader.fail("it is no shared library");
}

}  // namespace trainhost::tensor
