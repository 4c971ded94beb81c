// Index expressions: PyTorch's own C++ indexing underneath.
#define AT_PER_OPERATOR_HEADERS  // or TensorIndexing.h includes every operator there is
#include "host/tensor/indexing.h"

#include <ATen/TensorIndexing.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <utility>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

at::indexing::TensorIndex torch_index(const Index& index) {
  struct {
    using T = at::indexing::TensorIndex;
    T operator()(int64_t value) const { return T(value); }
    T operator()(bool value) const { return T(value); }
    T operator()(const Slice& value) const {
      const auto bound = [](const std::optional<int64_t>& side) {
        return side ? std::optional<c10::SymInt>(*side) : std::nullopt;
      };
      return T(at::indexing::Slice(bound(value.start), bound(value.stop), bound(value.step)));
    }
    T operator()(Ellipsis) const { return T(at::indexing::Ellipsis); }
    T operator()(NewAxis) const { return T(at::indexing::None); }
    T operator()(const at::Tensor& value) const { return T(value); }
  } convert;
  return std::visit(convert, index);
}

// Each item is a view of all dimensions: more of them would take minutes.
constexpr size_t kMostItems = 10000;
// The place of a failure is looked for by trying what stands before it.
constexpr size_t kMostTried = 100;

std::vector<at::indexing::TensorIndex> torch_indices(const Indices& indices) {
  if (indices.size() > kMostItems)
    throw Error(ErrorKind::usage,
                "tensor index: " + std::to_string(indices.size()) + " items, more than " + std::to_string(kMostItems));
  std::vector<at::indexing::TensorIndex> result;
  result.reserve(indices.size());
  for (const auto& index : indices) result.push_back(torch_index(index));
  return result;
}

std::string bound_text(const std::optional<int64_t>& bound) { return bound ? std::to_string(*bound) : "None"; }

}  // namespace

size_t failing_column(const at::Tensor& tensor, std::string_view text) {
  std::vector<size_t> columns;
  const Indices items = parse_indices(text, /*part=*/false, &columns);
  if (items.size() > kMostTried) return 0;
  for (size_t count = 1; count <= items.size(); ++count) {
    try {
      get(tensor, Indices(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count)));
    } catch (const std::exception&) {
      return columns[count - 1];
    }
  }
  return 0;
}

std::string to_string(const Slice& slice) {
  return "slice(" + bound_text(slice.start) + ", " + bound_text(slice.stop) + ", " + bound_text(slice.step) + ")";
}

at::Tensor get(const at::Tensor& tensor, const Indices& indices) {
  return at::indexing::get_item(tensor, torch_indices(indices));
}

at::Tensor get(const at::Tensor& tensor, int64_t index) {
  const auto sizes = tensor.is_nested() ? std::optional<c10::SymIntArrayRef>() : tensor.sym_sizes();
  return at::indexing::impl::applySelect(tensor, 0, index, 0, tensor.device(), sizes);
}

void set(const at::Tensor& tensor, const Indices& indices, const at::Tensor& value) {
  at::indexing::set_item(tensor, torch_indices(indices), value);
}

void set(const at::Tensor& tensor, const Indices& indices, const at::Scalar& value) {
  at::Tensor scalar;
  {
    // As Python does: the constant takes x's dtype before anything changes, and is no part of the graph.
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const bool quantized = at::isQIntType(tensor.scalar_type());
    const at::Device device = quantized || tensor.is_cuda() ? at::Device(at::kCPU) : tensor.device();
    const auto options = quantized ? at::TensorOptions(at::kFloat) : tensor.options();
    scalar = at::indexing::scalarToTensor(value, options, device);
  }
  set(tensor, indices, scalar);
}

}  // namespace trainhost::tensor
