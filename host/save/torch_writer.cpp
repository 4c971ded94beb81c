// The archive of torch.save: a pickle, facts and the storages, published in one step.
#include <ATen/ops/empty.h>

#include <cstdio>

#include "host/base/publish.h"
#include "host/save/pickle.h"
#include "host/save/torch_file.h"

namespace trainhost::save {
namespace {

constexpr const char* kRoot = "archive/";

// The bytes of a tensor's whole storage, on the CPU.
at::Tensor bytes_of(const at::Tensor& tensor) {
  const at::Storage& storage = tensor.storage();
  at::Tensor bytes = at::empty({0}, at::TensorOptions().dtype(at::kByte).device(tensor.device()));
  bytes.set_(storage, 0, {static_cast<int64_t>(storage.nbytes())}, {1});
  return bytes.cpu();
}

}  // namespace

void write_torch(const std::string& path, const Document& document) {
  const Pickled pickled = pickle(document);
  file::NewFile file(path);
  ZipWriter zip(file);
  const std::string root = kRoot;
  zip.add(root + "data.pkl", pickled.bytes);
  zip.add(root + ".storage_alignment", "64");
  zip.add(root + "byteorder", "little");
  for (size_t i = 0; i < pickled.storages.size(); ++i) {
    const at::Tensor bytes = bytes_of(pickled.storages[i]);  // one at a time: those of a device are copied
    zip.add(root + "data/" + std::to_string(i), {}, bytes.const_data_ptr(), bytes.nbytes());
  }
  zip.add(root + "version", "3\n");
  zip.finish();
  file.publish();
}

}  // namespace trainhost::save
