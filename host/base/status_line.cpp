// A status line: who wrote last, and whether it is to be kept.
#include "host/base/status_line.h"

#include <atomic>
#include <cstdio>
#include <mutex>

namespace trainhost::status_line {
namespace {

enum class Last { ended, drawn, begun };  // whole lines; the status line; a line of others without its end

// Of the process, as the terminal is.
std::mutex writing;
std::atomic<Last> last{Last::ended};

void put(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

void write(std::string_view text) {
  if (text.empty()) return;
  const std::lock_guard lock(writing);
  if (last == Last::begun) put("\n");
  put(text);
  std::fflush(stdout);
  last = text.back() == '\n' ? Last::ended : Last::drawn;
}

void give_way() noexcept {
  if (last != Last::drawn) return;
  const std::lock_guard lock(writing);
  if (last != Last::drawn) return;
  put("\r\033[2K");
  std::fflush(stdout);
  last = Last::ended;
}

void others_wrote(bool ended) noexcept {
  const Last now = ended ? Last::ended : Last::begun;
  if (last == now) return;
  const std::lock_guard lock(writing);
  last = now;
}

void finish() {
  const std::lock_guard lock(writing);
  if (last != Last::drawn) return;
  put("\n");
  std::fflush(stdout);
  last = Last::ended;
}

}  // namespace trainhost::status_line
