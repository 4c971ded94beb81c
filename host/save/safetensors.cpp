// Reading and writing the data of safetensors files; the header is safetensors_header.cpp's.
#include "host/save/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "host/base/checksum.h"
#include "host/base/error.h"
#include "host/base/publish.h"
#include "host/base/read_file.h"
#include "host/save/safetensors_header.h"

namespace trainhost::save {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian; byte swaps are not written");

constexpr const char* kWhat = "safetensors file";

at::Tensor read_tensor(const file::ReadFile& file, const Header& header, const HeaderEntry& entry) {
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.type));
  file.read(header.data + entry.begin, tensor.mutable_data_ptr(), entry.end - entry.begin);
  return tensor;
}

// Bytes other than 0 and 1 in a bool are undefined behaviour in every kernel that reads it.
void check_bools(const file::ReadFile& file, const HeaderEntry& entry, const at::Tensor& tensor) {
  if (entry.type != at::kBool) return;
  const auto* bytes = static_cast<const unsigned char*>(tensor.const_data_ptr());
  if (std::any_of(bytes, bytes + tensor.numel(), [](unsigned char b) { return b > 1; }))
    file.fail("tensor '" + entry.name + "' of dtype BOOL holds bytes other than 0 and 1");
}

// The name as a JSON string: nlohmann refuses what is not UTF-8.
std::string json_text(const std::string& text, const char* what) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw_usage("safetensors: the " + std::string(what) + " '" + text + "' is not valid UTF-8");
  }
}

void check_name(const std::string& name, std::unordered_set<std::string>& seen) {
  if (name.empty() || name == "__metadata__") throw_usage("safetensors: a tensor cannot have the name '" + name + "'");
  if (!seen.insert(name).second) throw_usage("safetensors: the name '" + name + "' is given twice");
}

void check_dense(const NamedTensor& named) {
  const at::Tensor& tensor = named.tensor;
  if (!tensor.defined() || tensor.layout() != at::kStrided || tensor.is_quantized() || tensor.is_meta())
    throw_usage("safetensors: '" + named.name + "' has no dense storage");
  if (safetensors_dtype(tensor.scalar_type()).empty())
    throw Error(ErrorKind::dtype, "safetensors: '" + named.name + "' has the dtype " +
                                      std::string(tensor.dtype().name()) + ", which the format does not know");
}

}  // namespace

std::string checksum_of_tensor(const at::Tensor& tensor) {
  return checksum_of(tensor.const_data_ptr(), static_cast<size_t>(tensor.numel()) * tensor.element_size());
}

TensorFile read_safetensors(const std::string& path, bool map, std::optional<uint64_t> limit) {
  const file::ReadFile file(kWhat, path);
  Budget budget(file, limit);
  Header header = read_header(file, budget);
  TensorFile result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(header.entries.size());
  const std::shared_ptr<char> mapping = map ? file.map() : nullptr;
  for (HeaderEntry& entry : header.entries) {
    const uint64_t at = header.data + entry.begin;
    at::Tensor tensor;
    if (mapping && entry.end > entry.begin && at % c10::elementSize(entry.type) == 0)
      tensor = at::from_blob(
          mapping.get() + at, entry.shape, [mapping](void*) {}, at::TensorOptions().dtype(entry.type));
    else {
      budget.take(entry.end - entry.begin);
      tensor = read_tensor(file, header, entry);
    }
    check_bools(file, entry, tensor);
    result.tensors.push_back({std::move(entry.name), std::move(tensor)});
  }
  return result;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata, WrittenSums* sums) {
  std::unordered_set<std::string> seen;
  std::vector<uint64_t> begin(tensors.size()), bytes(tensors.size());
  std::vector<size_t> place(tensors.size());
  std::iota(place.begin(), place.end(), 0);
  for (const NamedTensor& named : tensors) {
    check_name(named.name, seen);
    check_dense(named);
  }
  std::stable_sort(place.begin(), place.end(), [&](size_t a, size_t b) {
    return tensors[a].tensor.element_size() > tensors[b].tensor.element_size();
  });
  uint64_t end = 0;
  for (const size_t i : place) {
    begin[i] = end;
    bytes[i] = static_cast<uint64_t>(tensors[i].tensor.numel()) * tensors[i].tensor.element_size();
    end += bytes[i];
  }

  std::string header = "{";
  if (!metadata.empty()) {
    std::unordered_set<std::string> keys;
    header.append("\"__metadata__\":{");
    for (const auto& [key, value] : metadata) {
      if (!keys.insert(key).second) throw_usage("safetensors: the metadata key '" + key + "' is given twice");
      header.append(keys.size() > 1 ? "," : "").append(json_text(key, "metadata key"));
      header.append(":").append(json_text(value, "metadata value"));
    }
    header.append("}");
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor& tensor = tensors[i].tensor;
    header.append(header.size() > 1 ? "," : "").append(json_text(tensors[i].name, "name"));
    header.append(":{\"dtype\":\"").append(safetensors_dtype(tensor.scalar_type())).append("\",\"shape\":[");
    for (int64_t d = 0; d < tensor.dim(); ++d) header.append(d ? "," : "").append(std::to_string(tensor.size(d)));
    header.append("],\"data_offsets\":[").append(std::to_string(begin[i])).append(",");
    header.append(std::to_string(begin[i] + bytes[i])).append("]}");
  }
  header.append("}");
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > kMostHeaderBytes)
    throw_usage("safetensors: the header would hold " + std::to_string(header.size()) + " bytes, at most " +
                std::to_string(kMostHeaderBytes) + " are read back");

  file::NewFile file(path);
  std::optional<Checksum> sum;
  if (sums) {
    sum.emplace();
    sums->tensors.resize(tensors.size());
  }
  const auto write = [&](const void* data, size_t count) {
    if (sum) sum->update(data, count);
    file.write(data, count);
  };
  std::array<char, 8> prefix{};
  for (size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>(header.size() >> (8 * i));
  write(prefix.data(), prefix.size());
  write(header.data(), header.size());
  for (const size_t i : place) {
    // Copied to the host one at a time.
    const at::Tensor data = tensors[i].tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
    if (sums) sums->tensors[i] = checksum_of_tensor(data);
    write(data.const_data_ptr(), bytes[i]);
  }
  if (sums) sums->file = sum->text();
  file.publish();
}

}  // namespace trainhost::save
