// Tensors as a pickle describes them: every number is checked before anything is made of it.
#include <c10/core/DefaultDtype.h>

#include <algorithm>

#include "host/save/dtypes.h"
#include "host/save/unpickle.h"
#include "host/tensor/names.h"

namespace trainhost::save {
namespace {

constexpr size_t kMostDims = 64;
constexpr uint64_t kTensorCost = 520;  // the tensor and its userdata

bool has_gradients(at::ScalarType type) { return at::isFloatingType(type) || at::isComplexType(type); }

}  // namespace

std::vector<int64_t> Unpickler::integers(Value list, const char* what) {
  std::vector<int64_t> numbers;
  for (const Value item : sequence(list, what).items) {
    if (item.kind != Kind::integer) fail(std::string(what) + " holds what is no integer");
    budget_.push(numbers, item.integer);
  }
  return numbers;
}

Value Unpickler::add_tensor(TensorNode node) {
  budget_.take(sizeof(TensorNode) + kTensorCost + 16 * node.sizes.size());
  document_.tensors.push_back(std::move(node));
  return Value::at(Kind::tensor, document_.tensors.size() - 1);
}

void check_geometry(const TensorNode& node, uint64_t bytes, const std::function<void(const std::string&)>& bad) {
  if (node.sizes.size() > kMostDims) bad("has " + std::to_string(node.sizes.size()) + " dimensions");
  if (node.sizes.size() != node.strides.size())
    bad("has " + std::to_string(node.sizes.size()) + " sizes and " + std::to_string(node.strides.size()) + " strides");
  constexpr auto kMost = static_cast<unsigned __int128>(INT64_MAX);
  const unsigned __int128 item = c10::elementSize(node.dtype);
  unsigned __int128 count = 1, last = 0;
  bool empty = false;
  for (size_t d = 0; d < node.sizes.size(); ++d) {
    const int64_t size = node.sizes[d], stride = node.strides[d];
    if (size < 0 || stride < 0)
      bad("has a negative " + std::string(size < 0 ? "size " : "stride ") + std::to_string(size < 0 ? size : stride));
    empty |= size == 0;
    count *= static_cast<uint64_t>(std::max<int64_t>(size, 1));
    last += static_cast<unsigned __int128>(std::max<int64_t>(size - 1, 0)) * static_cast<uint64_t>(stride);
    if (count > kMost / item || last > kMost / item || static_cast<unsigned __int128>(stride) > kMost / item)
      bad("is beyond 2^63 bytes");
  }
  if (node.offset < 0) bad("has the offset " + std::to_string(node.offset));
  const unsigned __int128 end = static_cast<uint64_t>(node.offset) + (empty ? 0 : last + 1);
  if (end * item > kMost || (!empty && end * item > bytes) || (empty && end * item > bytes + item))
    bad("reaches beyond its storage: it ends at byte " +
        std::to_string(static_cast<uint64_t>(std::min(end * item, kMost))) + ", the storage holds " +
        std::to_string(bytes));
}

// _rebuild_tensor(storage, offset, size, stride), v2: and requires_grad, hooks, metadata; v3: a dtype before metadata.
Value Unpickler::rebuild_strided(const Args& args, Global function) {
  const char* name = function == Global::rebuild_tensor_v3 ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2";
  const Storage& storage = document_.storages[argument(args, 0, Kind::storage, name).index];
  TensorNode node;
  node.storage = storage.root;
  node.dtype = storage.dtype;
  size_t metadata = 6;
  if (function == Global::rebuild_tensor_v3) {
    node.dtype = static_cast<at::ScalarType>(argument(args, 6, Kind::dtype, name).integer);
    metadata = 7;
    if (node.dtype == at::kBool && storage.dtype != at::kBool) fail("a tensor of bool has a storage of another dtype");
  } else if (storage.untyped) {
    fail("_rebuild_tensor_v2 has a storage without a dtype");
  }
  node.offset = argument(args, 1, Kind::integer, name).integer;
  if (args.size() < 4) fail(std::string(name) + " has too few arguments");
  node.sizes = integers(args[2], "a tensor's size");
  node.strides = integers(args[3], "a tensor's stride");
  check_geometry(node, storage.bytes, [&](const std::string& what) { fail("a tensor " + what); });
  if (storage.begin != 0) {  // a view: count from the begin of the whole
    const auto size = static_cast<uint64_t>(c10::elementSize(node.dtype));
    if (storage.begin % size != 0) fail("a storage's view is not aligned");
    node.offset += static_cast<int64_t>(storage.begin / size);
  }
  if (function != Global::rebuild_tensor) {
    node.requires_grad = argument(args, 4, Kind::boolean, name).boolean;
    if (node.requires_grad && !has_gradients(node.dtype))
      fail("only Tensors of floating point dtype can require gradients");
    if (args.size() > metadata && args[metadata].kind != Kind::none) {
      const Args& marks = document_.box(argument(args, metadata, Kind::dict, name)).items;
      for (size_t i = 0; i < marks.size(); i += 2) {
        const std::string_view key = document_.text(argument(marks, i, Kind::text, "metadata"));
        const bool on = argument(marks, i + 1, Kind::boolean, "metadata").boolean;
        if (key == "conj" && at::isComplexType(node.dtype)) node.conjugate = on;
        else if (key == "neg" && node.dtype != at::kBool) node.negative = on;
        else fail("a tensor has the metadata '" + std::string(key.substr(0, 20)) + "'");
      }
    }
  }
  return add_tensor(std::move(node));
}

// _rebuild_parameter(data, requires_grad, hooks), Parameter(data, requires_grad).
Value Unpickler::rebuild_parameter(const Args& args) {
  TensorNode node = document_.tensors[argument(args, 0, Kind::tensor, "_rebuild_parameter").index];
  node.parameter = true;
  node.requires_grad = args.size() < 2 || argument(args, 1, Kind::boolean, "_rebuild_parameter").boolean;
  if (node.requires_grad && !has_gradients(node.dtype))
    fail("only Tensors of floating point dtype can require gradients");
  return add_tensor(std::move(node));
}

// UninitializedParameter(requires_grad), UninitializedBuffer(requires_grad): of the default dtype, as in PyTorch.
Value Unpickler::rebuild_uninitialized(const Args& args, bool parameter) {
  TensorNode node;
  node.form = Form::uninitialized;
  node.parameter = parameter;
  node.dtype = c10::get_default_dtype_as_scalartype();
  node.requires_grad =
      args.empty() ? parameter : argument(args, 0, Kind::boolean, "torch.nn.parameter.UninitializedParameter").boolean;
  return add_tensor(std::move(node));
}

// _rebuild_sparse_tensor(layout, (indices, values, size[, is_coalesced]))
Value Unpickler::rebuild_sparse(const Args& args) {
  const char* name = "_rebuild_sparse_tensor";
  TensorNode node;
  node.layout = static_cast<at::Layout>(argument(args, 0, Kind::layout, name).integer);
  const Args& data = document_.box(argument(args, 1, Kind::tuple, name)).items;
  const bool coo = node.layout == at::kSparse;
  if (!coo && node.layout != at::kSparseCsr && node.layout != at::kSparseCsc && node.layout != at::kSparseBsr &&
      node.layout != at::kSparseBsc)
    fail("rebuilding sparse tensor for a layout that is not sparse");
  node.form = coo ? Form::coo : Form::compressed;
  const size_t parts = coo ? 2 : 3;
  for (size_t i = 0; i < parts; ++i) {
    node.parts[i] = argument(data, i, Kind::tensor, name).index;
    const TensorNode& part = document_.tensors[node.parts[i]];
    if (part.form != Form::strided) fail("a part of a sparse tensor is not dense");
    node.dtype = part.dtype;  // of the last: the values
  }
  if (data.size() <= parts) fail(std::string(name) + " has no size");
  node.sizes = integers(data[parts], "a sparse tensor's size");
  if (node.sizes.size() > kMostDims) fail("a tensor has " + std::to_string(node.sizes.size()) + " dimensions");
  unsigned __int128 count = 1;
  for (const int64_t size : node.sizes)
    if (size < 0 || (count *= static_cast<uint64_t>(std::max<int64_t>(size, 1))) > INT64_MAX)
      fail("a sparse tensor has a wrong size");
  if (coo && data.size() > 3 && data[3].kind != Kind::none)
    node.coalesced = argument(data, 3, Kind::boolean, name).boolean;
  return add_tensor(std::move(node));
}

// _rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad)
Value Unpickler::rebuild_meta(const Args& args) {
  const char* name = "_rebuild_meta_tensor_no_storage";
  TensorNode node;
  node.form = Form::meta;
  node.dtype = static_cast<at::ScalarType>(argument(args, 0, Kind::dtype, name).integer);
  if (args.size() < 3) fail(std::string(name) + " has too few arguments");
  node.sizes = integers(args[1], "a tensor's size");
  node.strides = integers(args[2], "a tensor's stride");
  check_geometry(node, INT64_MAX, [&](const std::string& what) { fail("a tensor " + what); });
  node.requires_grad = argument(args, 3, Kind::boolean, name).boolean;
  if (node.requires_grad && !has_gradients(node.dtype))
    fail("only Tensors of floating point dtype can require gradients");
  return add_tensor(std::move(node));
}

// _rebuild_nested_tensor(buffer, sizes, strides, offsets)
Value Unpickler::rebuild_nested(const Args& args) {
  TensorNode node;
  node.form = Form::nested;
  for (size_t i = 0; i < node.parts.size(); ++i) {
    node.parts[i] = argument(args, i, Kind::tensor, "_rebuild_nested_tensor").index;
    const TensorNode& part = document_.tensors[node.parts[i]];
    if (part.form != Form::strided) fail("a part of a nested tensor is not dense");
  }
  const TensorNode& buffer = document_.tensors[node.parts[0]];
  node.dtype = buffer.dtype;
  node.requires_grad = buffer.requires_grad;
  return add_tensor(std::move(node));
}

}  // namespace trainhost::save
