// How much memory reading a file may take: at most twice its size and 64 MB, whatever its bytes claim.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "host/base/read_file.h"

namespace trainhost::save {

// Everything that a file's bytes make a reader allocate is taken here first. What the caller makes of it (Lua tables,
// userdata) is part of the figures below.
class Budget {
 public:
  // `limit`: bytes, instead of the default that follows from the file's size.
  Budget(const file::ReadFile& file, std::optional<uint64_t> limit);

  // Error{io} if that is more than is left.
  void take(uint64_t bytes) {
    if (bytes > left_) refuse(bytes);
    left_ -= bytes;
  }
  void give(uint64_t bytes) noexcept { left_ += bytes; }

  // push_back that asks before the vector grows.
  template <class T>
  void push(std::vector<T>& items, T item) {
    if (items.size() == items.capacity()) {
      const size_t old = items.capacity(), grown = old == 0 ? 1 : 2 * old;
      take(grown * sizeof(T));
      items.reserve(grown);
      give(old * sizeof(T));
    }
    items.push_back(std::move(item));
  }

 private:
  [[noreturn]] void refuse(uint64_t bytes) const;

  const file::ReadFile* file_;
  uint64_t limit_, left_;
};

}  // namespace trainhost::save
