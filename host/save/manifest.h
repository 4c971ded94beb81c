// The manifest of a checkpoint folder: its files with their sizes and checksums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainhost::save {

struct ManifestRow {
  std::string name;
  uint64_t bytes = 0;
  std::string sum;                                           // XXH3-128 of the file; empty in format version 1
  std::vector<std::pair<std::string, std::string>> tensors;  // name -> XXH3-128 of its bytes
};

inline constexpr const char* kManifest = "manifest.json";

// Can it name a file of a checkpoint? Letters, digits, '_', '-' and '.'; no hidden file, not the manifest.
bool is_part_name(const std::string& name) noexcept;
std::string write_manifest(const std::vector<ManifestRow>& rows);
// `where` begins the messages. Error{io} for a text that is not byte for byte one that write_manifest made, here or in
// an older version.
std::vector<ManifestRow> read_manifest(const std::string& where, std::string_view text);

}  // namespace trainhost::save
