// Arrays as views of the bytes that were read or mapped.
#include "host/save/npy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "host/base/error.h"
#include "host/base/publish.h"
#include "host/base/read_file.h"
#include "host/save/dtypes.h"
#include "host/save/npy_header.h"
#include "host/save/zip.h"

namespace trainhost::save {
namespace {

const auto kBytes = at::TensorOptions().dtype(at::kByte);

at::Tensor mapped(const std::shared_ptr<char>& mapping, uint64_t at, uint64_t size) {
  return at::from_blob(
      mapping.get() + at, {static_cast<int64_t>(size)}, [mapping](void*) {}, kBytes);
}

void append_utf8(std::string& text, uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes that follow
  constexpr unsigned char kFirst[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(kFirst[more] | code >> 6 * more);
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (code >> 6 * i & 0x3F));
}

// The element of an array of strings, without the zeros that fill it up.
std::string string_of(const char* begin, const NpyHeader& header, const Fail& fail) {
  if (header.text == 'S') {
    const std::string_view all(begin, header.item);
    return std::string(all.substr(0, all.find_last_not_of('\0') + 1));
  }
  std::string text;
  size_t end = 0;
  for (uint64_t at = 0; at < header.item; at += 4) {
    unsigned char b[4];
    std::memcpy(b, begin + at, 4);
    if (header.big_endian) std::reverse(b, b + 4);
    const uint32_t code = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
    if (code > 0x10FFFF) fail("a string holds " + std::to_string(code) + ", which is no character");
    append_utf8(text, code);
    if (code != 0) end = text.size();
  }
  text.resize(end);
  return text;
}

// What a string and its place in a table take besides its bytes.
constexpr uint64_t kStringBytes = 96;

NpyArray strings_of(const char* begin, const NpyHeader& header, Budget& budget, const Fail& fail) {
  uint64_t count = 1;
  for (const int64_t size : header.shape) {  // tables of tables; their product is below 2^63
    count *= static_cast<uint64_t>(size);
    budget.take(count > UINT64_MAX / kStringBytes ? UINT64_MAX : count * kStringBytes);
  }
  NpyArray array{{}, header.shape, std::vector<std::string>(count)};
  std::vector<int64_t> index(header.shape.size());
  for (uint64_t i = 0; i < count; ++i) {  // i in the order of rows
    uint64_t rest = i, at = 0, step = 1;
    for (size_t d = index.size(); d-- > 0;) {
      index[d] = static_cast<int64_t>(rest % static_cast<uint64_t>(header.shape[d]));
      rest /= static_cast<uint64_t>(header.shape[d]);
    }
    for (size_t d = 0; header.fortran && d < index.size(); ++d) {
      at += static_cast<uint64_t>(index[d]) * step;
      step *= static_cast<uint64_t>(header.shape[d]);
    }
    (*array.strings)[i] = string_of(begin + (header.fortran ? at : i) * header.item, header, fail);
  }
  return array;
}

// The array whose file or record `bytes` is.
NpyArray array_of(const at::Tensor& bytes, Budget& budget, const Fail& fail) {
  const auto size = static_cast<uint64_t>(bytes.numel());
  const char* begin = static_cast<const char*>(bytes.const_data_ptr());
  const NpyHeader header =
      read_npy_header({begin, static_cast<size_t>(std::min<uint64_t>(size, kMostNpyHeader))}, size, fail);
  if (header.text) return strings_of(begin + header.data, header, budget, fail);
  if (header.type == at::kBool && !are_bools(begin + header.data, header.bytes))
    fail("an array of bool holds bytes other than 0 and 1");
  std::vector<int64_t> strides(header.shape.size());
  int64_t stride = 1;
  for (size_t i = 0; i < strides.size(); ++i) {
    const size_t d = header.fortran ? i : strides.size() - 1 - i;
    strides[d] = stride;
    stride *= std::max<int64_t>(header.shape[d], 1);
  }
  const uint64_t item = c10::elementSize(header.type);
  const auto options = at::TensorOptions().dtype(header.type);
  const bool aligned = header.data % item == 0 && reinterpret_cast<uintptr_t>(begin) % item == 0;
  at::Tensor array = at::empty({0}, options);
  if (aligned && !header.big_endian) {
    array.set_(bytes.storage(), static_cast<int64_t>(header.data / item), header.shape, strides);
  } else {
    const at::Tensor copy = at::empty({static_cast<int64_t>(header.bytes)}, kBytes);
    if (header.bytes > 0) std::memcpy(copy.mutable_data_ptr(), begin + header.data, header.bytes);
    if (header.big_endian) swap_bytes(copy.mutable_data_ptr(), header.bytes, header.type);
    array.set_(copy.storage(), 0, header.shape, strides);
  }
  return {std::move(array), {}};
}

struct Written {
  std::string header;
  at::Tensor data;
};

Written prepared(const at::Tensor& tensor, const std::string& name) {
  if (!tensor.defined() || tensor.layout() != at::kStrided || tensor.is_quantized() || tensor.is_meta())
    throw_usage("torch.save: '" + name + "' has no dense storage");
  at::Tensor data = tensor.detach().resolve_conj().resolve_neg();
  bool fortran = false;
  const auto shape = data.sizes().vec();
  const std::string header_c = npy_header(data.scalar_type(), shape, false);
  if (!data.is_contiguous()) {
    std::vector<int64_t> turned(shape.size());
    for (size_t i = 0; i < turned.size(); ++i) turned[i] = static_cast<int64_t>(turned.size() - 1 - i);
    fortran = data.permute(turned).is_contiguous();
    if (fortran) data = data.permute(turned);
  }
  return {fortran ? npy_header(data.scalar_type(), shape, true) : header_c, data.cpu().contiguous()};
}

}  // namespace

NpyArray read_npy(const std::string& path, bool map, std::optional<uint64_t> limit) {
  const file::ReadFile file("numpy file", path);
  Budget budget(file, limit);
  at::Tensor bytes;
  if (map && file.size() > 0) {
    bytes = mapped(file.map(), 0, file.size());
  } else {
    bytes = at::empty({static_cast<int64_t>(file.size())}, kBytes);
    file.read(0, bytes.mutable_data_ptr(), file.size());
  }
  std::string refusal;
  try {
    return array_of(bytes, budget, [&](const std::string& reason) { file.fail(reason); });
  } catch (NpyRefused& refused) {
    refusal = std::move(refused.reason);
  }
  file.fail(refusal);
}

std::vector<NamedArray> read_npz(const std::string& path, bool map, std::optional<uint64_t> limit) {
  constexpr std::string_view kSuffix = ".npy";
  const file::ReadFile file("numpy file", path);
  Budget budget(file, limit);
  const ZipReader zip(file, budget);
  std::vector<NamedArray> arrays;
  std::shared_ptr<char> mapping;
  for (const ZipEntry& entry : zip.entries()) {
    if (!entry.name.ends_with(kSuffix)) continue;
    std::string name(entry.name.substr(0, entry.name.size() - kSuffix.size()));
    budget.take(1500 + 2 * name.size());
    at::Tensor bytes;
    if (map && !entry.deflated && entry.size > 0) {
      if (!mapping) mapping = file.map();
      bytes = mapped(mapping, zip.data(entry), entry.size);
    } else {
      budget.take(entry.size);
      bytes = at::empty({static_cast<int64_t>(entry.size)}, kBytes);
      zip.read(entry, bytes.mutable_data_ptr());
    }
    NamedArray& added = arrays.emplace_back(NamedArray{std::move(name), {}});
    const std::string place = "'" + added.name + "': ";
    try {
      added.array = array_of(bytes, budget, [&](const std::string& reason) { file.fail(place + reason); });
    } catch (const NpyRefused& refused) {
      added.refusal = place + refused.reason;
    }
  }
  return arrays;
}

void write_npy(const std::string& path, const at::Tensor& tensor) {
  const Written array = prepared(tensor, "the tensor");
  file::NewFile file(path);
  file.write(array.header);
  file.write(array.data.const_data_ptr(), array.data.nbytes());
  file.publish();
}

void write_npz(const std::string& path, const std::vector<NamedTensor>& tensors, bool compressed) {
  std::unordered_set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || !names.insert(name).second) throw_usage("torch.save: the name '" + name + "' is given twice");
    npy_header(tensor.scalar_type(), tensor.sizes(), false);
  }
  file::NewFile file(path);
  ZipWriter zip(file);
  for (const auto& [name, tensor] : tensors) {
    const Written array = prepared(tensor, name);
    zip.add(name + ".npy", array.header, array.data.const_data_ptr(), array.data.nbytes(), compressed);
  }
  zip.finish();
  file.publish();
}

}  // namespace trainhost::save
