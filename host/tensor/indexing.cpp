// Index expressions: a parser of their text, and PyTorch's own C++ indexing underneath.
#define AT_PER_OPERATOR_HEADERS  // or TensorIndexing.h includes every operator there is
#include "host/tensor/indexing.h"

#include <ATen/TensorIndexing.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

// Reads one expression from left to right; `position_` is where the next character stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  // columns: where each item begins, from 1.
  Indices parse(std::vector<size_t>* columns = nullptr) {
    Indices items;
    skip_spaces();
    if (at_end()) fail("expected an index", 0);
    while (!at_end()) {
      if (columns) columns->push_back(position_ + 1);
      items.push_back(item());
      skip_spaces();
      if (at_end()) break;
      if (!accept(",")) fail("expected ',' or the end", position_);
      skip_spaces();
    }
    return items;
  }

 private:
  bool at_end() const { return position_ == text_.size(); }

  void skip_spaces() {
    while (!at_end() && (text_[position_] == ' ' || text_[position_] == '\t' || text_[position_] == '\n')) ++position_;
  }

  bool accept(std::string_view token) {
    if (text_.substr(position_, token.size()) != token) return false;
    position_ += token.size();
    return true;
  }

  // A word is not the beginning of a longer one.
  bool accept_word(std::string_view word) {
    const size_t end = position_ + word.size();
    const bool longer =
        end < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[end])) || text_[end] == '_');
    return !longer && accept(word);
  }

  std::optional<int64_t> integer() {
    const size_t begin = position_;
    const bool plus = accept("+");  // from_chars reads a minus only
    const char* first = text_.data() + position_;
    int64_t value = 0;
    if (plus && accept("-")) fail("expected a number after the sign", begin);
    const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) fail("an integer that does not fit 64 bits", begin);
    if (error != std::errc()) {
      if (position_ != begin || accept("-")) fail("expected a number after the sign", begin);
      return std::nullopt;
    }
    position_ = static_cast<size_t>(end - text_.data());
    return value;
  }

  // One end of a slice: an integer, None or nothing.
  std::optional<int64_t> bound() {
    skip_spaces();
    auto value = integer();
    if (!value) accept_word("None");
    skip_spaces();
    return value;
  }

  // "[0, 2]": an index tensor; "[True, False]": a mask. Lists in it are rows.
  at::Tensor list() {
    struct {
      std::vector<int64_t> sizes, values;
      bool booleans = true;
    } read;
    const size_t begin = position_;
    const auto read_list = [&](const auto& self, size_t depth) -> void {
      int64_t count = 0;
      if (depth == 64) fail("a list nested more than 64 deep", begin);
      if (read.sizes.size() == depth) read.sizes.push_back(-1);
      skip_spaces();
      while (!accept("]")) {
        if (count++ > 0 && !accept(",")) fail("expected ',' or ']'", position_);
        skip_spaces();
        if (count > 1 && accept("]")) break;  // a comma behind the last one
        const bool deeper = depth + 1 < read.sizes.size();
        if (accept("[")) {
          if (!deeper && count > 1) fail("numbers and lists mixed", begin);
          self(self, depth + 1);
        } else {
          if (deeper) fail("numbers and lists mixed", begin);
          read.values.push_back(element(read.booleans));
        }
        skip_spaces();
      }
      if (read.sizes[depth] >= 0 && read.sizes[depth] != count) fail("rows of different length", begin);
      read.sizes[depth] = count;
    };
    accept("[");
    read_list(read_list, 0);
    at::Tensor result = at::empty(read.sizes, at::TensorOptions(at::kLong));
    std::copy(read.values.begin(), read.values.end(), result.mutable_data_ptr<int64_t>());
    return read.booleans && !read.values.empty() ? result.to(at::kBool) : result;
  }

  int64_t element(bool& booleans) {
    const size_t begin = position_;
    if (accept_word("True") || accept_word("true")) return 1;
    if (accept_word("False") || accept_word("false")) return 0;
    booleans = false;
    const auto value = integer();
    if (!value) fail("expected an integer, True or False", begin);
    return *value;
  }

  Index item() {
    const size_t begin = position_;
    if (position_ < text_.size() && text_[position_] == '[') return list();
    if (accept("...")) return Ellipsis{};
    if (accept_word("True") || accept_word("true")) return true;
    if (accept_word("False") || accept_word("false")) return false;
    const auto start = integer();
    const bool none = !start && accept_word("None");
    skip_spaces();
    if (!accept(":")) {
      if (start) return *start;
      if (none) return NewAxis{};
      fail("expected an integer, a slice such as 1:10:2, '...', None, True, False or a list", begin);
    }
    Slice slice{start, bound(), std::nullopt};
    if (accept(":")) slice.step = bound();
    return slice;
  }

  [[noreturn]] void fail(const char* what, size_t position) const {
    throw_usage(
        "tensor index \"" + std::string(text_) + "\": " + what + " at column " + std::to_string(position + 1) +
        (position < text_.size() ? ", got '" + std::string(text_.substr(position, 12)) + "'" : ", got the end"));
  }

  std::string_view text_;
  size_t position_ = 0;
};

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

std::vector<at::indexing::TensorIndex> torch_indices(const Indices& indices) {
  std::vector<at::indexing::TensorIndex> result;
  result.reserve(indices.size());
  for (const auto& index : indices) result.push_back(torch_index(index));
  return result;
}

std::string bound_text(const std::optional<int64_t>& bound) { return bound ? std::to_string(*bound) : "None"; }

}  // namespace

Indices parse_indices(std::string_view text) { return Parser(text).parse(); }

size_t failing_column(const at::Tensor& tensor, std::string_view text) {
  std::vector<size_t> columns;
  const Indices items = Parser(text).parse(&columns);
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
