// Error, its kinds, and the edit distance behind "did you mean".
#include "host/base/error.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

namespace trainhost {
namespace {

constexpr std::array<std::string_view, 9> kKindNames = {"usage", "shape",    "dtype",       "device",  "memory",
                                                        "io",    "tracking", "interrupted", "internal"};

}  // namespace

std::string_view name_of(ErrorKind kind) noexcept { return kKindNames[static_cast<size_t>(kind)]; }

ErrorKind error_kind(std::string_view name) noexcept {
  for (size_t i = 0; i < kKindNames.size(); ++i)
    if (kKindNames[i] == name) return static_cast<ErrorKind>(i);
  return ErrorKind::internal;
}

Error::Error(ErrorKind kind, std::string message, std::string hint, std::string type)
    : std::runtime_error(message),
      kind_(kind),
      message_(std::move(message)),
      hint_(std::move(hint)),
      type_(std::move(type)) {
  set_context({}, {}, {});
}

void Error::set_context(std::string op, std::string where, std::string trace) {
  op_ = std::move(op);
  where_ = std::move(where);
  trace_ = std::move(trace);
  what_ = where_.empty() ? message_ : where_ + ": " + message_;
  if (!hint_.empty()) what_ += " (" + hint_ + ")";
}

void throw_usage(std::string message, std::string hint) {
  throw Error(ErrorKind::usage, std::move(message), std::move(hint));
}

void throw_io(std::string message, std::string hint) {
  throw Error(ErrorKind::io, std::move(message), std::move(hint));
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace trainhost
