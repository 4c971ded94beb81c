// Folders, the lock.
#include "host/track/run_folder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "host/base/error.h"
#include "host/base/file.h"
#include "host/track/delivery.h"

namespace trainhost::track {
namespace {

constexpr std::string_view kSuffix = ".log";

// `path` and the folders above it, as many as are empty or gone already.
void remove_upwards(std::string path, int most) noexcept {
  for (int i = 0; i < most && (::rmdir(path.c_str()) == 0 || errno == ENOENT); ++i) path = file::folder_of(path);
}

}  // namespace

RunFolder::RunFolder(const std::string& runs, const std::string& run) : path_(file::absolute(runs) + "/" + run) {}

std::string RunFolder::segment(uint64_t start) const {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "/%016llx", static_cast<unsigned long long>(start));
  return spool() + name.data() + std::string(kSuffix);
}

std::deque<uint64_t> RunFolder::segments() const {
  std::deque<uint64_t> starts;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(spool(), none)) {
    const std::string name = entry.path().filename().string();
    if (name.size() != 16 + kSuffix.size() || !name.ends_with(kSuffix)) continue;
    uint64_t start = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + 16, start, 16);
    if (parsed.ptr == name.data() + 16) starts.push_back(start);
  }
  std::sort(starts.begin(), starts.end());
  return starts;
}

int RunFolder::lock(bool make) { return lock_.take(path_ + "/lock", make); }

bool RunFolder::is_left() const { return file::is_unlocked(path_ + "/lock"); }

void RunFolder::throw_unlocked(int code) const {
  if (code == EBUSY) throw_io("another process holds '" + path_ + "'");
  throw_io("cannot lock '" + path_ + "/lock': " + std::strerror(code));
}

void RunFolder::unlock() noexcept { lock_.release(); }

void RunFolder::remove() noexcept {
  ::rmdir(spool().c_str());
  if (lock_.is_held()) {  // who does not hold it may not
    remove_delivery(path_);
    ::unlink((path_ + "/lock").c_str());
  }
  unlock();
  remove_upwards(path_, 3);
}

void RunFolder::remove_empty(const std::string& runs) noexcept { remove_upwards(runs, 2); }

}  // namespace trainhost::track
