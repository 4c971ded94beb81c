// Files of torch.save: zip archives of a pickle and storages, and the older ones without a zip; read and written.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "host/base/read_file.h"
#include "host/save/budget.h"
#include "host/save/document.h"
#include "host/save/unpickle.h"
#include "host/save/zip.h"

namespace trainhost::save {

// What a file's first bytes say that it is.
enum class Format { torch_zip, torch_legacy, torch_tar, npz, npy, safetensors, other };
Format format_of(const std::string& path);

// A file of torch.save that is being read. Everything is Error{io} with the file's name: what is damaged, what would
// take more memory than the budget, a global that is not on the list. No code of a file is ever run.
class TorchFile {
 public:
  // Reads the structure. `map`: storages share a private mapping of the file.
  TorchFile(const std::string& path, bool map, std::optional<uint64_t> limit);

  Document& document() noexcept { return document_; }
  // Sets `data` of a storage (a root) to its bytes on the CPU.
  void read_storage(uint32_t index);
  // The tensor with this index, once `data` is set in every root, on whatever device.
  at::Tensor tensor(uint32_t index);
  // All elements of a storage as a vector of its dtype.
  at::Tensor whole(uint32_t storage);
  uint64_t size() const noexcept { return file_.size(); }

 private:
  void read_zip();
  void check_values();
  void read_legacy();
  bool read_legacy_head(Unpickler& unpickler);
  void place_legacy(Unpickler& unpickler, Value keys);
  std::string record(const ZipEntry& entry);
  void read_bytes(uint32_t index);
  at::Tensor build(const TensorNode& node);
  at::Tensor build_plain(const TensorNode& node);
  at::Tensor build_nested(const TensorNode& node);

  file::ReadFile file_;
  const bool map_;
  const std::optional<uint64_t> limit_;
  Budget budget_;
  Document document_;
  std::unique_ptr<ZipReader> zip_;
  std::vector<const ZipEntry*> records_;  // by storage, of a zip
  std::vector<uint64_t> places_;          // by storage, of an older file
  std::shared_ptr<char> mapping_;
  bool big_endian_ = false;
};

// Writes the document's root as torch.save does, in one step (see NewFile): torch.load(weights_only=True) opens it.
// Storages are written whole, once each, however many tensors share them. Error{usage} or Error{dtype} for a tensor
// that such a file cannot hold.
void write_torch(const std::string& path, const Document& document);

}  // namespace trainhost::save
