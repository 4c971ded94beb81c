// Tensors in the words of torch._utils: what torch.load(weights_only=True) rebuilds.
#include "host/save/pickle_tensors.h"

#include <ATen/ops/_indices.h>
#include <ATen/ops/_values.h>
#include <ATen/ops/ccol_indices.h>
#include <ATen/ops/col_indices.h>
#include <ATen/ops/crow_indices.h>
#include <ATen/ops/row_indices.h>
#include <ATen/ops/values.h>

#include "host/base/error.h"
#include "host/save/dtypes.h"
#include "host/tensor/names.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::save {
namespace {

void check_dtype(at::ScalarType type) {
  if (at::isQIntType(type))
    throw Error(ErrorKind::dtype, "torch.save: quantized tensors are not supported", "save tensor:dequantize()");
  if (tensor::name_of(type) == "undefined")
    throw Error(ErrorKind::dtype, std::string("torch.save: the dtype ") + c10::toString(type) + " has no name");
}

}  // namespace

void Pickler::dtype(at::ScalarType type) {
  check_dtype(type);
  global("torch", std::string(tensor::name_of(type)));
}

void Pickler::layout(at::Layout layout) {
  global("torch.serialization", "_get_layout");
  text("torch." + std::string(tensor::name_of(layout)));
  out_ += "\x85R";
}

void Pickler::device(at::Device device) {
  global("torch", "device");
  text(c10::DeviceTypeName(device.type(), /*lower_case=*/true));
  if (device.has_index()) integer(device.index());
  out_ += device.has_index() ? "\x86R" : "\x85R";
}

void Pickler::sizes(at::IntArrayRef sizes) {
  if (sizes.empty()) return op(')');
  if (sizes.size() > 3) op('(');
  for (const int64_t each : sizes) integer(each);
  if (sizes.size() > 3) op('t');
  else op(static_cast<char>(0x84 + sizes.size()));
}

void Pickler::size(at::IntArrayRef size) {
  global("torch", "Size");
  sizes(size);
  out_ += "\x85R";
}

// ("storage", class, key, location, count) and the call for it.
void Pickler::storage(const at::Tensor& tensor, bool untyped) {
  const at::Storage& storage = tensor.storage();
  const at::ScalarType type = untyped ? at::kByte : tensor.scalar_type();
  const auto [known, added] =
      known_.try_emplace(storage.unsafeGetStorageImpl(), Known{storages_.size(), tensor.scalar_type()});
  if (added) storages_.push_back(tensor);
  if (storage.data() != nullptr && types_.try_emplace(storage.data(), type).first->second != type)
    throw_usage("Cannot save multiple tensors or storages that view the same data as different types",
                "clone one of them");
  op('(');
  text("storage");
  if (untyped) global("torch.storage", "UntypedStorage");
  else global("torch", std::string(storage_of(type)));
  text(std::to_string(known->second.key));
  text(tensor.device().str());
  integer(static_cast<int64_t>(storage.nbytes() / c10::elementSize(type)));
  out_ += "tQ";
}

void Pickler::strided(const at::Tensor& tensor) {
  const bool untyped = storage_of(tensor.scalar_type()).empty();
  global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
  op('(');
  storage(tensor, untyped);
  integer(tensor.storage_offset());
  sizes(tensor.sizes());
  sizes(tensor.strides());
  op(tensor.requires_grad() ? '\x88' : '\x89');
  global("collections", "OrderedDict");
  out_ += ")R";
  if (untyped) dtype(tensor.scalar_type());
  if (tensor.is_conj() || tensor.is_neg()) {
    op('}');
    op('(');
    if (tensor.is_conj()) {
      text("conj");
      op('\x88');
    }
    if (tensor.is_neg()) {
      text("neg");
      op('\x88');
    }
    op('u');
  }
  out_ += "tR";
}

void Pickler::meta(const at::Tensor& tensor) {
  global("torch._utils", "_rebuild_meta_tensor_no_storage");
  op('(');
  dtype(tensor.scalar_type());
  sizes(tensor.sizes());
  sizes(tensor.strides());
  op(tensor.requires_grad() ? '\x88' : '\x89');
  out_ += "tR";
}

void Pickler::sparse(const at::Tensor& tensor) {
  global("torch._utils", "_rebuild_sparse_tensor");
  layout(tensor.layout());
  op('(');
  const auto part = [&](const at::Tensor& dense) { strided(dense.detach()); };
  if (tensor.layout() == at::kSparse) {
    part(tensor._indices());
    part(tensor._values());
  } else {
    const bool rows = tensor.layout() == at::kSparseCsr || tensor.layout() == at::kSparseBsr;
    part(rows ? tensor.crow_indices() : tensor.ccol_indices());
    part(rows ? tensor.col_indices() : tensor.row_indices());
    part(tensor.values());
  }
  size(tensor.sizes());
  if (tensor.layout() == at::kSparse) op(tensor.is_coalesced() ? '\x88' : '\x89');
  out_ += "t\x86R";
}

void Pickler::nested(const at::Tensor& tensor) {
  global("torch._utils", "_rebuild_nested_tensor");
  op('(');
  at::Tensor buffer = tensor.detach().values();
  strided(tensor.requires_grad() ? buffer.requires_grad_() : buffer);
  for (const at::Tensor& part :
       {tensor._nested_tensor_size(), tensor._nested_tensor_strides(), tensor._nested_tensor_storage_offsets()})
    strided(part);
  out_ += "tR";
}

void Pickler::tensor(const TensorNode& node, uint32_t& place) {
  if (recall(place)) return;
  const at::Tensor& tensor = node.tensor;
  if (!tensor.defined() || tensor.is_mkldnn())
    throw_usage("torch.save: a tensor without storage of its own (mkldnn) cannot be saved");
  if (tensor::is_uninitialized(tensor)) {
    global("torch.nn.parameter", node.parameter ? "UninitializedParameter" : "UninitializedBuffer");
    op(tensor.requires_grad() ? '\x88' : '\x89');
    out_ += "\x85R";
    return memoize(place);
  }
  check_dtype(tensor.scalar_type());
  if (node.parameter) global("torch._utils", "_rebuild_parameter");
  if (tensor.is_nested()) nested(node.parameter ? tensor.detach() : tensor);
  else if (tensor.is_meta()) meta(tensor);
  else if (tensor.layout() != at::kStrided) sparse(tensor);
  else strided(node.parameter ? tensor.detach() : tensor);
  if (node.parameter) {
    op(tensor.requires_grad() ? '\x88' : '\x89');
    global("collections", "OrderedDict");
    out_ += ")R\x87R";
  }
  memoize(place);
}

}  // namespace trainhost::save
