// The elements of a dense tensor as text: a small copy of those that are shown, in one format.
#include "host/tensor/print_elements.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "host/tensor/number_text.h"

namespace trainhost::tensor {

std::string spaces(int64_t count) { return std::string(static_cast<size_t>(std::max<int64_t>(count, 0)), ' '); }

namespace {

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
  while (dim < from.dim() && from.size(dim) <= 2 * edge) ++dim;  // no call for each: there may be thousands of size 1
  if (dim == from.dim()) {
    to.copy_(from);
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
    if (sizes_.empty()) return elements_[0];
    std::string result;
    append(result, 0, indent);
    return result;
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

  // The rows from `dim` on. A dimension of size 1 is no call of its own: there may be thousands.
  void append(std::string& text, size_t dim, int64_t indent) {
    const size_t begin = dim;
    while (dim + 1 < sizes_.size() && sizes_[dim] == 1) ++dim;
    text.append(dim - begin, '[');
    indent += static_cast<int64_t>(dim - begin);
    if (dim + 1 == sizes_.size()) {
      text += vector_text(dim, indent);
    } else {
      const std::string separator = "," + std::string(sizes_.size() - dim - 1, '\n') + spaces(indent + 1);
      const int64_t count = is_cut(dim) ? 2 * options_.edgeitems : sizes_[dim];
      text += '[';
      for (int64_t i = 0; i < count; ++i) {
        if (i > 0) text += separator;
        if (is_cut(dim) && i == options_.edgeitems) text += "..." + separator;
        append(text, dim + 1, indent + 1);
      }
      text += ']';
    }
    text.append(dim - begin, ']');
  }

  const PrintOptions& options_;
  bool summarize_ = false;
  std::vector<int64_t> sizes_;         // of the whole tensor
  std::vector<std::string> elements_;  // those shown, in order
  int64_t width_ = 1;
  size_t next_ = 0;
};

}  // namespace

std::string elements_text(const at::Tensor& tensor, int64_t indent, const PrintOptions& options) {
  return Contents(tensor, options).text(indent);
}

}  // namespace trainhost::tensor
