// A record as a spool has it on disk.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/track/record.h"

namespace trainhost::track {

// What a segment begins with: key: the spool's id, value: its store.
inline constexpr auto kHeader = static_cast<RecordKind>(255);
inline constexpr size_t kFrame = 8;  // checksum, length

// A record as the spool has it: checksum, length, kind, run, fields.
void append_frame(std::string& to, const Record& record);
// The record that `bytes` begin with, and how long it is; nothing if there is no whole one.
std::optional<std::pair<Record, size_t>> read_frame(std::string_view bytes);
// `bytes` begin with what is no frame: where the next one of the run is; their size if there is none.
size_t find_frame(std::string_view bytes, std::string_view run);
// Do they end before the length of the frame that they begin with?
bool is_cut_short(std::string_view bytes);

}  // namespace trainhost::track
