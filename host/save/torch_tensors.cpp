// From a description to the tensor, when its storages are there.
#include <ATen/ops/_nested_view_from_buffer.h>
#include <ATen/ops/_sparse_compressed_tensor_unsafe.h>
#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/_validate_sparse_compressed_tensor_args.h>
#include <ATen/ops/_validate_sparse_coo_tensor_args.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>

#include "host/save/torch_file.h"
#include "host/save/unpickle.h"
#include "host/tensor/fresh.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::save {

// Kernels trust what a nested tensor says of its parts: each has to lie within the buffer.
at::Tensor TorchFile::build_nested(const TensorNode& node) {
  const at::Tensor buffer = tensor(node.parts[0]).detach();
  if (buffer.is_meta()) file_.fail("a nested tensor cannot be on the device meta");
  std::array<at::Tensor, 3> parts;  // sizes, strides, offsets
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = tensor(node.parts[i + 1]).cpu().contiguous();
  const auto& [sizes, strides, offsets] = parts;
  if (buffer.dim() != 1 || !buffer.is_contiguous()) file_.fail("the buffer of a nested tensor is no vector");
  if (offsets.dim() != 1 || sizes.sizes() != strides.sizes() ||
      (sizes.dim() != 2 && !(sizes.dim() == 0 || sizes.numel() == 0)) ||
      (sizes.dim() > 0 ? sizes.size(0) : 0) != offsets.numel())
    file_.fail("the sizes, strides and offsets of a nested tensor do not fit each other");
  const int64_t count = offsets.numel(), dims = sizes.dim() == 2 ? sizes.size(1) : 0;
  for (const at::Tensor& part : parts)
    if (part.scalar_type() != at::kLong)
      file_.fail("the sizes, strides or offsets of a nested tensor are not of int64");
  for (int64_t i = 0; i < count; ++i) {
    TensorNode part;
    part.dtype = node.dtype;
    part.offset = offsets.const_data_ptr<int64_t>()[i];
    const int64_t *size = sizes.const_data_ptr<int64_t>() + i * dims,
                  *stride = strides.const_data_ptr<int64_t>() + i * dims;
    part.sizes.assign(size, size + dims);
    part.strides.assign(stride, stride + dims);
    check_geometry(part, buffer.nbytes(),
                   [&](const std::string& what) { file_.fail("a part of a nested tensor " + what); });
  }
  return at::_nested_view_from_buffer(buffer, sizes, strides, offsets);
}

at::Tensor TorchFile::build(const TensorNode& node) {
  return tensor::below_transforms([&] { return build_plain(node); });
}

at::Tensor TorchFile::build_plain(const TensorNode& node) {
  auto options = at::TensorOptions().dtype(node.dtype);
  if (node.form == Form::meta) return at::empty_strided(node.sizes, node.strides, options.device(at::kMeta));
  if (node.form == Form::uninitialized) {
    at::Tensor made = at::empty({0}, options);
    tensor::set_uninitialized(made);
    return made;
  }
  if (node.form == Form::nested) return build_nested(node);
  if (node.form == Form::strided) {
    const at::Tensor& data = document_.storages[node.storage].data;
    options = options.device(data.device());
    if (data.is_meta()) return at::empty_strided(node.sizes, node.strides, options);
    at::Tensor made = at::empty({0}, options);
    made.set_(data.storage(), node.offset, node.sizes, node.strides);
    if (node.conjugate) made._set_conj(true);
    if (node.negative) made._set_neg(true);
    return made;
  }
  // Kernels trust the indices of sparse tensors.
  const at::Tensor first = tensor(node.parts[0]), second = tensor(node.parts[1]);
  options = options.layout(node.layout);
  if (node.form == Form::coo) {
    at::_validate_sparse_coo_tensor_args(first, second, node.sizes, node.coalesced, /*check_pinning=*/false);
    return at::_sparse_coo_tensor_unsafe(first, second, node.sizes, options.device(second.device()), node.coalesced);
  }
  const at::Tensor values = tensor(node.parts[2]);
  at::_validate_sparse_compressed_tensor_args(first, second, values, node.sizes, node.layout, /*check_pinning=*/false);
  return at::_sparse_compressed_tensor_unsafe(first, second, values, node.sizes, options.device(values.device()));
}

at::Tensor TorchFile::tensor(uint32_t index) {
  TensorNode& node = document_.tensors[index];
  if (node.tensor.defined()) return node.tensor;
  try {
    node.tensor = build(node);
    if (node.requires_grad) node.tensor.set_requires_grad(true);
  } catch (const c10::Error& e) {
    file_.fail(e.what_without_backtrace());
  }
  return node.tensor;
}

at::Tensor TorchFile::whole(uint32_t index) {
  const Storage& storage = document_.storages[index];
  TensorNode node;
  node.storage = storage.root;
  node.dtype = storage.dtype;
  const uint64_t size = c10::elementSize(storage.dtype);
  node.offset = static_cast<int64_t>(storage.begin / size);
  node.sizes = {static_cast<int64_t>(storage.bytes / size)};
  node.strides = {1};
  return build(node);
}

}  // namespace trainhost::save
