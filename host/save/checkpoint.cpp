// The checkpoint folder: build it aside, list it, publish it; read it back by its list.
#include "host/save/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "host/base/error.h"
#include "host/base/publish.h"
#include "host/base/read_file.h"

namespace trainhost::save {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kManifest = "manifest.json";
constexpr const char* kFormat = "trainhost-checkpoint";
constexpr const char* kSuffix = ".safetensors";
constexpr int kVersion = 1;
constexpr uint64_t kMostManifestBytes = uint64_t{1} << 20;
constexpr uint64_t kMostTextBytes = uint64_t{256} << 20;

bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' && name != kManifest &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                  c == '.';
         });
}

uint64_t size_of(const std::string& path) { return file::ReadFile("checkpoint file", path).size(); }

bool is_tensor_file(const std::string& name) { return name.size() > 12 && name.ends_with(kSuffix); }

}  // namespace

void write_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  std::set<std::string> names;
  const auto check = [&](const std::string& name) {
    if (!is_file_name(name))
      throw_usage("checkpoint: '" + name + "' cannot name a part, expected letters, digits, '_', '-' and '.'");
    if (!names.insert(name).second) throw_usage("checkpoint: the part '" + name + "' is given twice");
  };
  for (const auto& [name, tensors] : checkpoint.tensors) check(name + kSuffix);
  for (const auto& [name, text] : checkpoint.texts) {
    check(name);
    if (is_tensor_file(name)) throw_usage("checkpoint: a text cannot have the name '" + name + "'");
  }

  file::NewFolder made(folder);
  Json files = Json::array();
  const auto list = [&](const std::string& name) {
    files.push_back({{"name", name}, {"bytes", size_of(made.path() + "/" + name)}});
  };
  const auto write_text = [&](const std::string& name, const std::string& text) {
    file::NewFile file(made.path() + "/" + name);
    file.write(text);
    file.publish();
  };
  for (const auto& [name, tensors] : checkpoint.tensors) {
    write_safetensors(made.path() + "/" + name + kSuffix, tensors, {{"format", "pt"}});
    list(name + kSuffix);
  }
  for (const auto& [name, text] : checkpoint.texts) {
    write_text(name, text);
    list(name);
  }
  write_text(kManifest, Json{{"format", kFormat}, {"version", kVersion}, {"files", files}}.dump(2) + "\n");
  made.publish();
}

Checkpoint read_checkpoint(const std::string& folder, bool map) {
  const std::string path = folder + "/" + kManifest;
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    throw_io("checkpoint " + folder + ": there is no such folder");
  if (::stat(path.c_str(), &info) != 0)
    throw_io("checkpoint " + folder + ": it has no " + kManifest +
             ", expected a folder that host.checkpoint.save made");
  const auto fail = [&](const std::string& what) { throw_io("checkpoint " + folder + ": " + what); };
  const Json manifest = Json::parse(file::read_text("checkpoint file", path, kMostManifestBytes), nullptr, false);
  if (!manifest.is_object() || manifest.value("format", Json()) != kFormat) fail("its manifest.json is damaged");
  const Json version = manifest.value("version", Json());
  if (!version.is_number_integer()) fail("its manifest.json is damaged: no version");
  if (version.get<int64_t>() != kVersion)
    fail("its format version is " + version.dump() + ", this trainhost reads " + std::to_string(kVersion));
  const Json files = manifest.value("files", Json());
  if (!files.is_array()) fail("its manifest.json is damaged: no list of files");

  Checkpoint result;
  std::set<std::string> seen;
  for (const Json& row : files) {
    const Json name = row.is_object() ? row.value("name", Json()) : Json();
    const Json bytes = row.is_object() ? row.value("bytes", Json()) : Json();
    if (!name.is_string() || !bytes.is_number_unsigned() || !is_file_name(name.get<std::string>()) ||
        !seen.insert(name.get<std::string>()).second)
      fail("its manifest.json is damaged: a bad row in the list of files");
    const auto file = name.get<std::string>();
    const uint64_t size = size_of(folder + "/" + file);
    if (size != bytes.get<uint64_t>())
      fail(file + " holds " + std::to_string(size) + " bytes, the manifest says " + bytes.dump());
    if (is_tensor_file(file))
      result.tensors.emplace_back(file.substr(0, file.size() - std::string(kSuffix).size()),
                                  read_safetensors(folder + "/" + file, map).tensors);
    else result.texts.emplace_back(file, file::read_text("checkpoint file", folder + "/" + file, kMostTextBytes));
  }
  return result;
}

}  // namespace trainhost::save
