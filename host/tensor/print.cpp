// Tensors as text: the layout of torch/_tensor_str.py over a small copy of the elements that are shown.
#include "host/tensor/print.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_nnz.h>
#include <ATen/ops/empty.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/ScalarType.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "host/tensor/number_text.h"

namespace trainhost::tensor {
namespace {

std::string spaces(int64_t count) { return std::string(static_cast<size_t>(std::max<int64_t>(count, 0)), ' '); }

std::string format_double(const char* conversion, int precision, double value) {
  if (std::isnan(value)) return "nan";  // printf would show the sign of a nan
  char text[512];
  const int length = std::snprintf(text, sizeof text, conversion, precision, value);
  if (static_cast<size_t>(length) < sizeof text) return text;
  std::string longer(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(longer.data(), longer.size(), conversion, precision, value);
  longer.pop_back();
  return longer;
}

// How the values of one tensor (or of its real or imaginary parts) are written: decided once from all that is shown.
class Formatter {
 public:
  Formatter(const std::vector<double>& values, const PrintOptions& options) : precision_(options.precision) {
    double smallest = INFINITY, largest = 0;
    for (double value : values) {
      if (!std::isfinite(value) || value == 0) continue;
      smallest = std::min(smallest, std::fabs(value));
      largest = std::max(largest, std::fabs(value));
      if (value != std::ceil(value)) integers_ = false;
    }
    if (largest == 0) return;
    scientific_ = options.sci_mode.value_or(largest / smallest > 1000.0 || largest > 1.0e8 || smallest < 1.0e-4);
    for (double value : values)
      if (std::isfinite(value) && value != 0) width_ = std::max(width_, number(value).size());
  }
  // Integers and booleans are written as they are.
  explicit Formatter(const std::vector<std::string>& texts) {
    for (const auto& text : texts) width_ = std::max(width_, text.size());
  }

  int64_t width() const { return static_cast<int64_t>(width_); }
  std::string format(double value) const { return pad(number(value)); }
  std::string pad(std::string text) const {
    if (text.size() < width_) text.insert(0, width_ - text.size(), ' ');
    return text;
  }

 private:
  std::string number(double value) const {
    if (scientific_) return format_double("%.*e", precision_, value);
    if (!integers_) return format_double("%.*f", precision_, value);
    return format_double("%.*f", 0, value) + (std::isfinite(value) ? "." : "");
  }

  int precision_ = 4;
  size_t width_ = 1;
  bool integers_ = true, scientific_ = false;
};

bool is_complex(at::ScalarType type) { return c10::isComplexType(type); }

at::ScalarType shown_type(at::ScalarType type) {
  if (is_complex(type)) return at::kComplexDouble;
  if (type == at::kUInt64) return at::kUInt64;
  return c10::isFloatingType(type) ? at::kDouble : at::kLong;
}

// Copies the edges of `from` that a summary shows (see PrintOptions::edgeitems) into `to`.
void copy_edges(at::Tensor to, at::Tensor from, int64_t dim, int64_t edge) {
  if (dim == from.dim()) {
    to.copy_(from);
  } else if (from.size(dim) <= 2 * edge) {
    copy_edges(to, from, dim + 1, edge);
  } else {
    copy_edges(to.narrow(dim, 0, edge), from.narrow(dim, 0, edge), dim + 1, edge);
    copy_edges(to.narrow(dim, edge, edge), from.narrow(dim, from.size(dim) - edge, edge), dim + 1, edge);
  }
}

// The elements of one dense tensor as text, with the brackets.
class Contents {
 public:
  Contents(at::Tensor tensor, const PrintOptions& options) : options_(options) {
    if (tensor.numel() == 0) return;
    summarize_ = static_cast<double>(tensor.numel()) > options.threshold;
    const int64_t edge = std::max(options.edgeitems, 0);
    if (summarize_ && edge == 0 && tensor.dim() > 0) return;
    // This type packs two numbers in a byte and cannot be converted: PyTorch shows the bytes.
    const bool packed = tensor.scalar_type() == at::kFloat4_e2m1fn_x2;
    if (packed) tensor = tensor.view(at::kByte);
    sizes_ = tensor.sizes().vec();
    std::vector<int64_t> shown = sizes_;
    if (summarize_)
      for (auto& size : shown) size = std::min(size, 2 * edge);
    at::Tensor data = at::empty(shown, at::TensorOptions(packed ? at::kDouble : shown_type(tensor.scalar_type())));
    copy_edges(data, tensor.detach(), 0, summarize_ ? edge : INT64_MAX / 2);
    write_elements(data, tensor.scalar_type() == at::kBool);
  }

  std::string text(int64_t indent) {
    if (elements_.empty()) return sizes_.empty() && !summarize_ ? "[]" : "[...]";
    next_ = 0;
    return sizes_.empty() ? elements_[0] : text_of(0, indent);
  }

 private:
  void write_elements(const at::Tensor& data, bool boolean) {
    const auto count = static_cast<size_t>(data.numel());
    elements_.reserve(count);
    if (data.scalar_type() == at::kComplexDouble) return write_complex(data, count);
    if (data.scalar_type() == at::kDouble) {
      const double* values = data.const_data_ptr<double>();
      const Formatter formatter(std::vector<double>(values, values + count), options_);
      for (size_t i = 0; i < count; ++i) elements_.push_back(formatter.format(values[i]));
      width_ = formatter.width();
      return;
    }
    for (size_t i = 0; i < count; ++i) {
      if (data.scalar_type() == at::kUInt64) {
        elements_.push_back(std::to_string(data.const_data_ptr<uint64_t>()[i]));
      } else {
        const int64_t value = data.const_data_ptr<int64_t>()[i];
        elements_.push_back(!boolean ? std::to_string(value) : value ? "True" : "False");
      }
    }
    const Formatter formatter(elements_);
    for (auto& element : elements_) element = formatter.pad(std::move(element));
    width_ = formatter.width();
  }

  void write_complex(const at::Tensor& data, size_t count) {
    const auto* values = data.const_data_ptr<c10::complex<double>>();
    std::vector<double> real(count), imaginary(count);
    for (size_t i = 0; i < count; ++i) {
      real[i] = values[i].real();
      imaginary[i] = values[i].imag();
    }
    const Formatter first(real, options_), second(imaginary, options_);
    for (size_t i = 0; i < count; ++i) {
      std::string tail = second.format(imaginary[i]) + "j";
      tail.erase(0, tail.find_first_not_of(' '));
      elements_.push_back(first.format(real[i]) + (tail[0] == '-' ? "" : "+") + tail);
    }
    width_ = first.width() + second.width() + 1;
  }

  bool is_cut(size_t dim) const { return summarize_ && sizes_[dim] > 2 * int64_t{options_.edgeitems}; }

  std::string vector_text(size_t dim, int64_t indent) {
    std::vector<std::string> items;
    const int64_t count = is_cut(dim) ? 2 * options_.edgeitems : sizes_[dim];
    for (int64_t i = 0; i < count; ++i) {
      if (is_cut(dim) && i == options_.edgeitems) items.emplace_back(" ...");
      items.push_back(elements_[next_++]);
    }
    const int64_t room = options_.linewidth - indent;
    const auto per_line = static_cast<size_t>(std::max<int64_t>(1, room < 0 ? 1 : room / (width_ + 2)));
    std::string result = "[";
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) result += i % per_line == 0 ? ",\n" + spaces(indent + 1) : ", ";
      result += items[i];
    }
    return result + "]";
  }

  std::string text_of(size_t dim, int64_t indent) {
    if (dim + 1 == sizes_.size()) return vector_text(dim, indent);
    const std::string separator = "," + std::string(sizes_.size() - dim - 1, '\n') + spaces(indent + 1);
    const int64_t count = is_cut(dim) ? 2 * options_.edgeitems : sizes_[dim];
    std::string result = "[";
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) result += separator;
      if (is_cut(dim) && i == options_.edgeitems) result += "..." + separator;
      result += text_of(dim + 1, indent + 1);
    }
    return result + "]";
  }

  const PrintOptions& options_;
  bool summarize_ = false;
  std::vector<int64_t> sizes_;         // of the whole tensor
  std::vector<std::string> elements_;  // those shown, in order
  int64_t width_ = 1;
  size_t next_ = 0;
};

std::string dense_text(const at::Tensor& tensor, int64_t indent, const PrintOptions& options) {
  return Contents(tensor, options).text(indent);
}

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
  if (!part.is_meta()) text = dense_text(part, indent + static_cast<int64_t>(prefix.size()), options);
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
    text = dense_text(tensor.dequantize(), indent, options);
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
    text = dense_text(tensor.layout() == at::kStrided ? tensor : tensor.to_dense(), indent, options);
  }
  if (!tensor.is_nested() && tensor.layout() != at::kStrided)
    suffixes.push_back(std::string("layout=") + layout_text(tensor.layout()));
  if (auto gradient = gradient_text(tensor); !gradient.empty()) suffixes.push_back(std::move(gradient));
  return add_suffixes(prefix + text, suffixes, indent, tensor.is_sparse(), options);
}

}  // namespace trainhost::tensor
