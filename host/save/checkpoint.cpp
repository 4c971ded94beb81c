// The checkpoint folder: build it aside, list it, publish it; read it back by its list.
#include "host/save/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "host/base/checksum.h"
#include "host/base/error.h"
#include "host/base/publish.h"
#include "host/base/read_file.h"
#include "host/save/manifest.h"

namespace trainhost::save {
namespace {

constexpr const char* kSuffix = ".safetensors";
constexpr uint64_t kMostManifestBytes = uint64_t{256} << 20;
constexpr uint64_t kMostTextBytes = uint64_t{256} << 20;

bool is_tensor_file(const std::string& name) { return name.size() > 12 && name.ends_with(kSuffix); }

uint64_t size_of(const std::string& path) { return file::ReadFile("checkpoint file", path).size(); }

std::string sum_of_file(const std::string& path) {
  const file::ReadFile file("checkpoint file", path);
  std::vector<char> buffer(std::min<uint64_t>(file.size(), uint64_t{1} << 20));
  Checksum sum;
  for (uint64_t at = 0; at < file.size(); at += buffer.size()) {
    const size_t count = std::min<uint64_t>(buffer.size(), file.size() - at);
    file.read(at, buffer.data(), count);
    sum.update(buffer.data(), count);
  }
  return sum.text();
}

// Which of its tensors makes a file's checksum another; empty if that cannot be told.
std::string damaged_tensor(const std::string& path, const ManifestRow& row) {
  try {
    const std::unordered_map<std::string, std::string> sums(row.tensors.begin(), row.tensors.end());
    for (const auto& [name, tensor] : read_safetensors(path).tensors) {
      const auto known = sums.find(name);
      if (known != sums.end() && known->second != checksum_of_tensor(tensor)) return name;
    }
  } catch (const Error&) {  // its header is damaged
  }
  return "";
}

void check_file(const std::string& folder, const ManifestRow& row) {
  const std::string path = folder + "/" + row.name;
  const uint64_t size = size_of(path);
  if (size != row.bytes)
    throw_io("checkpoint " + folder + ": " + row.name + " holds " + std::to_string(size) +
             " bytes, the manifest says " + std::to_string(row.bytes));
  if (row.sum.empty() || sum_of_file(path) == row.sum) return;
  const std::string tensor = is_tensor_file(row.name) ? damaged_tensor(path, row) : "";
  throw_io("checkpoint " + folder + ": " + row.name + " is damaged" +
           (tensor.empty() ? "" : ", in the tensor '" + tensor + "'") +
           ": its checksum is another than the manifest's");
}

}  // namespace

void write_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  std::set<std::string> names;
  const auto check = [&](const std::string& name) {
    if (!is_part_name(name))
      throw_usage("checkpoint: '" + name + "' cannot name a part, expected letters, digits, '_', '-' and '.'");
    if (!names.insert(name).second) throw_usage("checkpoint: the part '" + name + "' is given twice");
  };
  for (const auto& [name, tensors] : checkpoint.tensors) check(name + kSuffix);
  for (const auto& [name, text] : checkpoint.texts) {
    check(name);
    if (is_tensor_file(name)) throw_usage("checkpoint: a text cannot have the name '" + name + "'");
  }

  file::NewFolder made(folder);
  std::vector<ManifestRow> rows;
  const auto write_text = [&](const std::string& name, const std::string& text) {
    file::NewFile file(made.path() + "/" + name);
    file.write(text);
    file.publish();
  };
  for (const auto& [name, tensors] : checkpoint.tensors) {
    const std::string path = made.path() + "/" + name + kSuffix;
    WrittenSums sums;
    write_safetensors(path, tensors, {{"format", "pt"}}, &sums);
    ManifestRow row{name + kSuffix, size_of(path), sums.file, {}};
    for (size_t i = 0; i < tensors.size(); ++i) row.tensors.emplace_back(tensors[i].name, sums.tensors[i]);
    rows.push_back(std::move(row));
  }
  for (const auto& [name, text] : checkpoint.texts) {
    write_text(name, text);
    rows.push_back({name, text.size(), checksum_of(text), {}});
  }
  write_text(kManifest, write_manifest(rows));
  made.publish();
}

std::vector<ManifestRow> check_checkpoint(const std::string& folder) {
  const std::string path = folder + "/" + kManifest;
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    throw_io("checkpoint " + folder + ": there is no such folder");
  if (::stat(path.c_str(), &info) != 0)
    throw_io("checkpoint " + folder + ": it has no " + kManifest +
             ", expected a folder that host.checkpoint.save made");
  auto rows = read_manifest("checkpoint " + folder, file::read_text("checkpoint file", path, kMostManifestBytes));
  for (const ManifestRow& row : rows) check_file(folder, row);
  return rows;
}

Checkpoint read_checkpoint(const std::string& folder, bool map) {
  Checkpoint result;
  for (const ManifestRow& row : check_checkpoint(folder)) {
    const std::string path = folder + "/" + row.name;
    if (is_tensor_file(row.name))
      result.tensors.emplace_back(row.name.substr(0, row.name.size() - std::string(kSuffix).size()),
                                  read_safetensors(path, map).tensors);
    else result.texts.emplace_back(row.name, file::read_text("checkpoint file", path, kMostTextBytes));
  }
  return result;
}

}  // namespace trainhost::save
