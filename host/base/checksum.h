// XXH3-128 checksums: fast enough to take of everything that is written and read (Note [Checksums are free]).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace trainhost {

// Of bytes that come piece by piece. The text is that of `xxhsum -H2`: 32 hexadecimal digits.
class Checksum {
 public:
  Checksum();
  void update(const void* bytes, size_t count);
  std::string text() const;

 private:
  std::unique_ptr<void, void (*)(void*)> state_;
};

std::string checksum_of(const void* bytes, size_t count);
inline std::string checksum_of(std::string_view text) { return checksum_of(text.data(), text.size()); }

}  // namespace trainhost
