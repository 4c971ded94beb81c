// From the file to a checked structure: where each storage lies, zip or not.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>

#include "host/base/error.h"
#include "host/save/dtypes.h"
#include "host/save/safetensors_header.h"
#include "host/save/torch_file.h"
#include "host/tensor/fresh.h"

namespace trainhost::save {
namespace {

constexpr const char* kWhat = "PyTorch file";
constexpr int64_t kLegacyProtocol = 1001;
constexpr uint64_t kMapAlignment = 16;  // of the largest element
// What lists and dicts become in Lua, roughly, in bytes: a dict keeps its order in tables of its own.
constexpr uint64_t kListCost = 80, kItemCost = 16, kDictCost = 900, kPairCost = 200;

}  // namespace

Format format_of(const std::string& path) {
  const file::ReadFile file(kWhat, path);
  std::string head(std::min<uint64_t>(file.size(), 512), '\0');
  file.read(0, head.data(), head.size());
  // A length of at most kMostHeaderBytes begins no other of these formats.
  if (head.size() > 8 && head[8] == '{') {
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(head[static_cast<size_t>(i)]);
    if (length <= kMostHeaderBytes) return Format::safetensors;
  }
  if (head.starts_with("PK\3\4") || head.starts_with("PK\5\6")) {
    Budget budget(file, std::nullopt);
    const ZipReader zip(file, budget);
    const auto ends = [](const ZipEntry& entry, std::string_view end) { return entry.name.ends_with(end); };
    const auto& entries = zip.entries();
    if (std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return ends(e, "/data.pkl"); }))
      return Format::torch_zip;
    if (std::all_of(entries.begin(), entries.end(), [&](const auto& e) { return ends(e, ".npy"); })) return Format::npz;
    return Format::torch_zip;  // which says what it lacks
  }
  if (head.starts_with("\x93NUMPY")) return Format::npy;
  if (head.size() == 512 && head.compare(257, 5, "ustar") == 0) return Format::torch_tar;
  if (head.starts_with("\x80")) return Format::torch_legacy;
  return Format::other;
}

TorchFile::TorchFile(const std::string& path, bool map, std::optional<uint64_t> limit)
    : file_(kWhat, path), map_(map), limit_(limit), budget_(file_, limit) {
  std::array<char, 4> head{};
  file_.read(0, head.data(), std::min<uint64_t>(head.size(), file_.size()));
  if (std::string_view(head.data(), 4) == "PK\3\4") {
    read_zip();
  } else {
    if (map_)
      throw_usage("mmap can only be used with files saved with `torch.save(" + path +
                  ", _use_new_zipfile_serialization=True), please torch.save your checkpoint with this option in "
                  "order to use mmap.");
    read_legacy();
  }
  check_values();
}

// What the root leads to becomes Lua's: paid for before it is made.
void TorchFile::check_values() {
  const auto check = [&](Value value) {
    if (value.kind == Kind::global) file_.fail("Weights only load failed: it holds a class, expected plain values");
  };
  check(document_.root);
  for (const uint32_t i : document_.reachable()) {
    const Box& box = document_.boxes[i];
    if (box.kind == Kind::dict) budget_.take(kDictCost + box.items.size() / 2 * kPairCost);
    else if (box.kind == Kind::set) budget_.take(kDictCost + box.items.size() * kPairCost);
    else budget_.take(kListCost + box.items.size() * kItemCost);
    for (const Value item : box.items) check(item);
  }
}

std::string TorchFile::record(const ZipEntry& entry) {
  budget_.take(entry.size);
  std::string bytes(entry.size, '\0');
  zip_->read(entry, bytes.data());
  return bytes;
}

void TorchFile::read_zip() {
  zip_ = std::make_unique<ZipReader>(file_, budget_);
  if (zip_->entries().empty()) file_.fail("is an empty zip archive");
  const std::string_view first = zip_->entries().front().name;
  const std::string root(first.substr(0, first.find('/') == std::string_view::npos ? 0 : first.find('/') + 1));
  if (zip_->find(root + "constants.pkl"))
    file_.fail("Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``");
  const ZipEntry* pickle = zip_->find(root + "data.pkl");
  if (!pickle) file_.fail("is a zip archive without 'data.pkl': not one that torch.save wrote");
  if (const ZipEntry* order = zip_->find(root + "byteorder")) {
    const std::string name = record(*order);
    if (name != "little" && name != "big") file_.fail("Unknown endianness type: " + name.substr(0, 20));
    big_endian_ = name == "big";
  }
  document_.source = record(*pickle);
  Unpickler unpickler(file_, budget_, document_, /*views=*/false);
  try {
    document_.root = unpickler.load();
  } catch (const RanOut&) {
    file_.fail("Weights only load failed: the pickle ends before its end");
  }
  for (const Storage& storage : document_.storages) {
    const ZipEntry* entry = zip_->find(root + "data/" + storage.key);
    if (!entry && storage.bytes > 0) file_.fail("lacks the record 'data/" + storage.key.substr(0, 80) + "'");
    if (entry && (entry->size < storage.bytes || entry->size - storage.bytes >= c10::elementSize(storage.dtype)))
      file_.fail("the record 'data/" + storage.key.substr(0, 80) + "' holds " + std::to_string(entry->size) +
                 " bytes, its storage " + std::to_string(storage.bytes));
    if (big_endian_ && storage.untyped && storage.bytes > 0)
      file_.fail("was written big-endian with storages without a dtype, which cannot be turned around");
    budget_.push(records_, entry);
  }
}

// Magic number, protocol, facts about the machine that wrote it.
bool TorchFile::read_legacy_head(Unpickler& unpickler) {
  if (!Unpickler::is_magic(unpickler.load())) file_.fail("Invalid magic number; corrupt file?");
  const Value protocol = unpickler.load();
  if (protocol.kind != Kind::integer || protocol.integer != kLegacyProtocol)
    file_.fail("Invalid protocol version, expected " + std::to_string(kLegacyProtocol));
  const Value facts = unpickler.load();
  if (facts.kind != Kind::dict) file_.fail("says nothing about the machine that wrote it");
  const auto& items = document_.box(facts).items;
  for (size_t i = 0; i < items.size(); i += 2)
    if (items[i].kind == Kind::text && document_.text(items[i]) == "little_endian")
      return items[i + 1].kind == Kind::boolean && items[i + 1].boolean;
  return true;
}

void TorchFile::read_legacy() {
  std::array<char, 1> first{};
  file_.read(0, first.data(), std::min<uint64_t>(1, file_.size()));
  if (first[0] != '\x80') file_.fail("is not one that torch.save wrote");
  // Five pickles without a length stand first: more of the file is read until they end.
  for (uint64_t bytes = std::min<uint64_t>(file_.size(), 1 << 20);; bytes = std::min(file_.size(), 8 * bytes)) {
    document_ = Document();
    budget_ = Budget(file_, limit_);
    budget_.take(bytes);
    document_.source.resize(bytes);
    file_.read(0, document_.source.data(), bytes);
    Unpickler unpickler(file_, budget_, document_, /*views=*/true);
    try {
      if (!read_legacy_head(unpickler)) file_.fail("was written big-endian, which is not supported in this old format");
      document_.root = unpickler.load();
      const Value keys = unpickler.load();
      return place_legacy(unpickler, keys);
    } catch (const RanOut&) {
      if (bytes == file_.size()) file_.fail("Weights only load failed: the pickle ends before its end");
    }
  }
}

// Behind the pickles: for each key in turn the number of elements and the elements.
void TorchFile::place_legacy(Unpickler& unpickler, Value keys) {
  if (keys.kind != Kind::list) file_.fail("has no list of storages");
  places_.assign(document_.storages.size(), 0);
  uint64_t at = unpickler.position();
  for (const Value key : document_.box(keys).items) {
    std::string name;
    if (key.kind == Kind::integer) name = std::to_string(key.integer);
    else if (key.kind == Kind::text) name = document_.text(key);
    else file_.fail("has a storage whose key is no text");
    const auto found = unpickler.storage(name);
    if (!found) file_.fail("storage key '" + name.substr(0, 80) + "' not found");
    const Storage& storage = document_.storages[*found];
    if (places_[*found] != 0) file_.fail("has the storage '" + name.substr(0, 80) + "' twice");
    std::array<unsigned char, 8> prefix{};
    file_.read(at, prefix.data(), prefix.size());
    uint64_t count = 0;
    for (size_t i = prefix.size(); i-- > 0;) count = (count << 8) | prefix[i];
    const uint64_t size = c10::elementSize(storage.dtype);
    if (count != storage.bytes / size)
      file_.fail("storage has wrong byte size: expected " + std::to_string(storage.bytes) + " got " +
                 std::to_string(count * size));
    at += prefix.size();
    places_[*found] = at;
    if (storage.bytes > file_.size() - at) file_.fail("ends within the storage '" + name.substr(0, 80) + "'");
    at += storage.bytes;
  }
  for (size_t i = 0; i < places_.size(); ++i)
    if (places_[i] == 0 && document_.storages[i].root == i && document_.storages[i].bytes > 0)
      file_.fail("lacks the bytes of a storage");
}

void TorchFile::read_storage(uint32_t index) {
  tensor::below_transforms([&] { read_bytes(index); });
}

void TorchFile::read_bytes(uint32_t index) {
  Storage& storage = document_.storages[index];
  const auto bytes = static_cast<int64_t>(storage.bytes);
  const ZipEntry* entry = zip_ ? records_[index] : nullptr;
  const auto options = at::TensorOptions().dtype(at::kByte);
  if (map_ && entry && !entry->deflated && bytes > 0 && !big_endian_) {
    if (const uint64_t at = zip_->data(*entry); at % kMapAlignment == 0) {
      if (!mapping_) mapping_ = file_.map();
      storage.data = at::from_blob(
          mapping_.get() + at, {bytes}, [keep = mapping_](void*) {}, options);
    }
  }
  if (!storage.data.defined()) {
    const uint64_t size = entry ? entry->size : storage.bytes;
    budget_.take(size);
    storage.data = at::empty({static_cast<int64_t>(size)}, options);
    if (entry) zip_->read(*entry, storage.data.mutable_data_ptr());
    else if (bytes > 0) file_.read(places_[index], storage.data.mutable_data_ptr(), storage.bytes);
    if (big_endian_) swap_bytes(storage.data.mutable_data_ptr(), storage.bytes, storage.dtype);
  }
  if (storage.dtype == at::kBool && bytes > 0 && !are_bools(storage.data.const_data_ptr(), storage.bytes))
    file_.fail("a storage of dtype bool holds bytes other than 0 and 1");
}

}  // namespace trainhost::save
