// What this process has asked the system to make safe from a power cut.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <string>
#include <vector>

namespace trainhost::test {

struct Synced {
  std::string file;  // its name alone
  pid_t thread = 0;
};
// The files of fsync and fdatasync, in order, since the last call of `forget_synced`. Any thread.
std::vector<Synced> synced();
void forget_synced();

inline size_t times_synced(const std::string& file) {
  const auto all = synced();
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [&](const Synced& each) { return each.file == file; }));
}

}  // namespace trainhost::test
