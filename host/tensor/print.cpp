// Tensors as text: the layout of torch/_tensor_str.py.
#include "host/tensor/print.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_nnz.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/autograd/function.h>

#include <string_view>
#include <utility>
#include <vector>

#include "host/tensor/number_text.h"
#include "host/tensor/print_elements.h"

namespace trainhost::tensor {
namespace {

// A tuple as Python writes it: (2, 3), (3,), ().
std::string tuple_text(at::IntArrayRef sizes) {
  std::string result = "(";
  for (size_t i = 0; i < sizes.size(); ++i) result += (i ? ", " : "") + std::to_string(sizes[i]);
  return result + (sizes.size() == 1 ? ",)" : ")");
}

std::string dtype_text(at::ScalarType type) { return "dtype=torch." + std::string(c10::getDtypeNames(type).first); }

const char* layout_text(at::Layout layout) {
  switch (layout) {
    case at::kSparse:
      return "torch.sparse_coo";
    case at::kSparseCsr:
      return "torch.sparse_csr";
    case at::kSparseCsc:
      return "torch.sparse_csc";
    case at::kSparseBsr:
      return "torch.sparse_bsr";
    case at::kSparseBsc:
      return "torch.sparse_bsc";
    case at::kMkldnn:
      return "torch._mkldnn";
    case at::kJagged:
      return "torch.jagged";
    default:
      return "torch.strided";
  }
}

bool is_compressed(at::Layout layout) {
  return layout == at::kSparseCsr || layout == at::kSparseCsc || layout == at::kSparseBsr || layout == at::kSparseBsc;
}

// indices=tensor([...]), one of the parts of a sparse tensor.
std::string part_text(const char* name, const at::Tensor& part, int64_t indent, const PrintOptions& options) {
  const std::string prefix = std::string(name) + "=tensor(";
  std::string text = "...";
  if (!part.is_meta()) text = elements_text(part, indent + static_cast<int64_t>(prefix.size()), options);
  if (part.is_meta() || part.numel() == 0) text += ", size=" + tuple_text(part.sizes());
  return prefix + text + ")";
}

std::string sparse_text(const at::Tensor& tensor, int64_t indent, const PrintOptions& options) {
  const std::string separator = ",\n" + spaces(indent);
  if (tensor.is_sparse())
    return part_text("indices", tensor._indices().detach(), indent, options) + separator +
           part_text("values", tensor._values().detach(), indent, options);
  const bool by_row = tensor.layout() == at::kSparseCsr || tensor.layout() == at::kSparseBsr;
  const at::Tensor compressed = by_row ? tensor.crow_indices() : tensor.ccol_indices();
  const at::Tensor plain = by_row ? tensor.col_indices() : tensor.row_indices();
  return part_text(by_row ? "crow_indices" : "ccol_indices", compressed.detach(), indent, options) + separator +
         part_text(by_row ? "col_indices" : "row_indices", plain.detach(), indent, options) + separator +
         part_text("values", tensor.values().detach(), indent, options);
}

std::string nested_text(const at::Tensor& tensor, const PrintOptions& options) {
  std::string result = "[\n";
  bool first = true;
  for (const auto& part : tensor.unbind(0)) {
    result += first ? "  " : ",\n  ";
    first = false;
    for (char c : to_string(part, false, options)) result += c == '\n' ? std::string("\n  ") : std::string(1, c);
  }
  return result + "\n]";
}

void quantized_suffixes(const at::Tensor& tensor, std::vector<std::string>& suffixes, const PrintOptions& options) {
  const auto scheme = tensor.qscheme();
  const bool per_tensor = scheme == at::kPerTensorAffine || scheme == at::kPerTensorSymmetric;
  suffixes.push_back("quantization_scheme=torch." + toString(scheme));
  if (per_tensor) {
    suffixes.push_back("scale=" + number_text(tensor.q_scale()));
    suffixes.push_back("zero_point=" + std::to_string(tensor.q_zero_point()));
  } else {
    suffixes.push_back("scale=" + to_string(tensor.q_per_channel_scales(), false, options));
    suffixes.push_back("zero_point=" + to_string(tensor.q_per_channel_zero_points(), false, options));
    suffixes.push_back("axis=" + std::to_string(tensor.q_per_channel_axis()));
  }
}

// grad_fn=<AddBackward0>, requires_grad=True or nothing.
std::string gradient_text(const at::Tensor& tensor) {
  std::string name;
  try {
    if (const auto node = tensor.grad_fn()) name = node->name();
  } catch (const c10::Error&) {
    name = "Invalid";  // a view made without gradients and changed in place since
  }
  if (name.empty()) return tensor.requires_grad() ? "requires_grad=True" : "";
  if (const auto colons = name.rfind("::"); colons != std::string::npos) name.erase(0, colons + 2);
  return "grad_fn=<" + name + ">";
}

std::string add_suffixes(std::string text, const std::vector<std::string>& suffixes, int64_t indent, bool force_newline,
                         const PrintOptions& options) {
  const auto newline = text.rfind('\n');
  auto last_line = static_cast<int64_t>(newline == std::string::npos ? text.size() + 2 : text.size() - newline + 1);
  for (const auto& suffix : suffixes) {
    const auto length = static_cast<int64_t>(suffix.size());
    if (force_newline || last_line + length + 2 > options.linewidth) {
      text += ",\n" + spaces(indent) + suffix;
      last_line = indent + length;
      force_newline = false;
    } else {
      text += ", " + suffix;
      last_line += length + 2;
    }
  }
  return text + ")";
}

}  // namespace

std::string to_string(const at::Tensor& tensor, bool parameter, const PrintOptions& options) {
  const at::NoGradGuard no_grad;
  if (parameter) return "Parameter containing:\n" + to_string(tensor, false, options);
  const std::string prefix = tensor.is_nested() ? "nested_tensor(" : "tensor(";
  const auto indent = static_cast<int64_t>(prefix.size());
  const auto default_type = c10::get_default_dtype_as_scalartype();
  const auto type = tensor.scalar_type();
  const bool usual = type == default_type || type == at::kLong || type == at::kBool ||
                     type == (default_type == at::kDouble ? at::kComplexDouble : at::kComplexFloat);
  const bool sparse = tensor.is_sparse() || is_compressed(tensor.layout());
  std::vector<std::string> suffixes;
  std::string text;
  if (!tensor.is_cpu()) suffixes.push_back("device='" + tensor.device().str() + "'");
  if (sparse) {
    suffixes.push_back("size=" + tuple_text(tensor.sizes()));
    if (!tensor.is_meta()) suffixes.push_back("nnz=" + std::to_string(tensor._nnz()));
    if (!usual) suffixes.push_back(dtype_text(type));
    text = sparse_text(tensor, indent, options);
  } else if (tensor.is_quantized()) {
    suffixes.push_back("size=" + tuple_text(tensor.sizes()));
    if (!usual) suffixes.push_back(dtype_text(type));
    quantized_suffixes(tensor, suffixes, options);
    text = elements_text(tensor.dequantize(), indent, options);
  } else if (tensor.is_nested()) {
    text = nested_text(tensor, options);
  } else if (tensor.is_meta()) {
    suffixes.push_back("size=" + tuple_text(tensor.sizes()));
    if (type != default_type) suffixes.push_back(dtype_text(type));
    text = "...";
  } else if (tensor.numel() == 0) {
    if (tensor.dim() != 1) suffixes.push_back("size=" + tuple_text(tensor.sizes()));
    if (type != default_type) suffixes.push_back(dtype_text(type));
    text = "[]";
  } else {
    if (options.edgeitems == 0) suffixes.push_back("size=" + tuple_text(tensor.sizes()));
    if (!usual) suffixes.push_back(dtype_text(type));
    text = elements_text(tensor.layout() == at::kStrided ? tensor : tensor.to_dense(), indent, options);
  }
  if (!tensor.is_nested() && tensor.layout() != at::kStrided)
    suffixes.push_back(std::string("layout=") + layout_text(tensor.layout()));
  if (auto gradient = gradient_text(tensor); !gradient.empty()) suffixes.push_back(std::move(gradient));
  if (const at::Tensor& tangent = tensor._fw_grad(/*level=*/0); tangent.defined()) {
    const bool number = tangent.dim() == 0 && tangent.is_floating_point() && !tangent.is_meta();  // as format() has it
    suffixes.push_back("tangent=" +
                       (number ? number_text(tangent.item<double>()) : to_string(tangent, false, options)));
  }
  return add_suffixes(prefix + text, suffixes, indent, tensor.is_sparse(), options);
}

}  // namespace trainhost::tensor
