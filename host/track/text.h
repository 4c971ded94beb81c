// Names and values as MLflow wants them: keys, lengths, UTF-8, numbers as Python prints them.
#pragma once

#include <string>
#include <string_view>

namespace trainhost::track {

inline constexpr size_t kMaxKey = 250;     // characters
inline constexpr size_t kMaxParam = 6000;  // characters; longer values are cut, as MLflow does
inline constexpr size_t kMaxTag = 8000;

// Throws a usage error that lists what is allowed if `key` is no key of MLflow's. `what`: "metric", "param", "tag".
void check_key(std::string_view what, std::string_view key);
// The same for a path inside a run's artifacts: relative, '/' between names, no '..'.
void check_artifact_path(std::string_view path);
// `text` with each byte that is not UTF-8, and each zero byte, as U+FFFD: Python cannot read such rows.
std::string clean_utf8(std::string_view text);
// The first `most` characters of clean UTF-8; sets `was_cut` when that is not all.
std::string cut(std::string text, size_t most, bool& was_cut);
// A float as Python's repr: the shortest digits that read back to the same value; 1.0, 1e-05, nan, inf.
std::string python_float(double value);

// Secrets do not belong in messages and tags: scheme://user:password@host -> scheme://host.
std::string without_credentials(const std::string& url);

}  // namespace trainhost::track
