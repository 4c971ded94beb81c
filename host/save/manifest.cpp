// The manifest's text: JSON whose last row is the checksum of all that stands before it.
#include "host/save/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "host/base/checksum.h"
#include "host/base/error.h"

namespace trainhost::save {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "trainhost-checkpoint";
constexpr int kVersion = 2;  // 1 had no checksums

std::string last_row(std::string_view before) {
  return ",\n  \"manifest_xxh3_128\": \"" + checksum_of(before) + "\"\n}\n";
}

// Everything but the last row, if that is the right one.
bool is_whole(std::string_view text) {
  const size_t at = text.rfind(",\n  \"manifest_xxh3_128\"");
  return at != std::string_view::npos && text.substr(at) == last_row(text.substr(0, at));
}

}  // namespace

bool is_part_name(const std::string& name) noexcept {
  return !name.empty() && name.size() <= 200 && name.front() != '.' && name != kManifest &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                  c == '.';
         });
}

std::string write_manifest(const std::vector<ManifestRow>& rows) {
  Json files = Json::array();
  for (const ManifestRow& row : rows) {
    Json entry = {{"name", row.name}, {"bytes", row.bytes}, {"xxh3_128", row.sum}};
    if (!row.tensors.empty()) {
      Json tensors = Json::array();
      for (const auto& [name, sum] : row.tensors) tensors.push_back(Json::array({name, sum}));
      entry["tensors"] = std::move(tensors);
    }
    files.push_back(std::move(entry));
  }
  std::string text = Json{{"format", kFormat}, {"version", kVersion}, {"files", std::move(files)}}.dump(2);
  text.resize(text.size() - 2);  // without "\n}"
  text.append(last_row(text));
  return text;
}

std::vector<ManifestRow> read_manifest(const std::string& where, std::string_view text) {
  const auto damaged = [&](const char* what) { throw_io(where + ": its manifest.json is damaged" + what); };
  const Json manifest = Json::parse(text, nullptr, false);
  if (!manifest.is_object() || manifest.value("format", Json()) != kFormat) damaged("");
  const Json version = manifest.value("version", Json());
  if (!version.is_number_integer()) damaged(": no version");
  const bool has_sums = version != 1;
  if (has_sums && version != kVersion)
    throw_io(where + ": its format version is " + version.dump() + ", this trainhost reads 1 and " +
             std::to_string(kVersion));
  if (has_sums ? !is_whole(text) : manifest.contains("manifest_xxh3_128")) damaged(": its checksum is another");
  const Json files = manifest.value("files", Json());
  if (!files.is_array()) damaged(": no list of files");

  std::vector<ManifestRow> rows;
  std::set<std::string> seen;
  for (const Json& row : files) {
    const Json name = row.is_object() ? row.value("name", Json()) : Json();
    const Json bytes = row.is_object() ? row.value("bytes", Json()) : Json();
    const Json sum = row.is_object() ? row.value("xxh3_128", Json("")) : Json();
    if (!name.is_string() || !bytes.is_number_unsigned() || !sum.is_string() ||
        !is_part_name(name.get<std::string>()) || !seen.insert(name.get<std::string>()).second ||
        sum.get_ref<const std::string&>().empty() == has_sums)
      damaged(": a bad row in the list of files");
    ManifestRow made{name.get<std::string>(), bytes.get<uint64_t>(), sum.get<std::string>(), {}};
    for (const Json& tensor : row.value("tensors", Json::array())) {
      if (!tensor.is_array() || tensor.size() != 2 || !tensor[0].is_string() || !tensor[1].is_string())
        damaged(": a bad row in a list of tensors");
      made.tensors.emplace_back(tensor[0].get<std::string>(), tensor[1].get<std::string>());
    }
    rows.push_back(std::move(made));
  }
  return rows;
}

}  // namespace trainhost::save
