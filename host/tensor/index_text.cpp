// Items from the text of an index expression, by PyTorch's rules and with its error texts.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

#include "host/tensor/fresh.h"
#include "host/tensor/index_syntax.h"

namespace trainhost::tensor {
namespace {

class Reader {
 public:
  Reader(std::string_view text, std::vector<size_t>* columns) : text_(text), columns_(columns) {}

  Indices items(const std::vector<Node>& nodes) const {
    Indices result;
    result.reserve(nodes.size());
    for (const Node& node : nodes) {
      if (columns_) columns_->push_back(node.position + 1);
      result.push_back(item(node));
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what, size_t position) const { fail_index(text_, what, position); }

  Index item(const Node& node) const {
    switch (node.type) {
      case Node::Type::integer:
        return integer(node);
      case Node::Type::boolean:
        return node.magnitude != 0;
      case Node::Type::none:
        return NewAxis{};
      case Node::Type::ellipsis:
        return Ellipsis{};
      case Node::Type::slice:
        return node.slice;
      case Node::Type::real:
        fail(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            "(got float)",
            node.position);
      default:
        return values(node);
    }
  }

  int64_t integer(const Node& node) const {
    if (!node.fits()) fail("Overflow when unpacking long long", node.position);
    return node.integer();
  }

  // Are there nothing but booleans in it? Fails at what has no dtype.
  bool is_mask(const Node& node) const {
    if (node.type == Node::Type::none || node.type == Node::Type::ellipsis || node.type == Node::Type::slice)
      fail(std::string("Could not infer dtype of ") + node.python_type(), node.position);
    bool mask = node.is_sequence() ? !node.items.empty() : node.type == Node::Type::boolean;
    for (const Node& part : node.items) mask = is_mask(part) && mask;
    return mask;
  }

  // A sequence as the tensor that torch.tensor makes of it, whose numbers become integers.
  // The text is parsed once: what comes of it serves outside the transform or the inference mode it is first met in.
  at::Tensor values(const Node& sequence) const {
    const c10::InferenceMode normal(false);
    return below_transforms([&] { return tensor(sequence); });
  }

  at::Tensor tensor(const Node& sequence) const {
    const bool mask = is_mask(sequence);
    std::vector<int64_t> sizes;
    for (const Node* node = &sequence; node && node->is_sequence();
         node = node->items.empty() ? nullptr : node->items.data())
      sizes.push_back(static_cast<int64_t>(node->items.size()));
    at::Tensor result = at::empty(sizes, at::TensorOptions(at::kLong));
    int64_t* next = result.mutable_data_ptr<int64_t>();
    if (result.numel() > 0) store(sequence, sizes, 0, next);
    return mask ? result.to(at::kBool) : result;
  }

  void store(const Node& node, const std::vector<int64_t>& sizes, size_t dim, int64_t*& next) const {
    if (dim == sizes.size()) {
      *next++ = element(node);
      return;
    }
    if (!node.is_sequence()) fail("not a sequence", node.position);
    if (static_cast<int64_t>(node.items.size()) != sizes[dim])
      fail("expected sequence of length " + std::to_string(sizes[dim]) + " at dim " + std::to_string(dim) + " (got " +
               std::to_string(node.items.size()) + ")",
           node.position);
    for (const Node& part : node.items) store(part, sizes, dim + 1, next);
  }

  int64_t element(const Node& node) const {
    if (node.is_sequence())
      fail(std::string("'") + node.python_type() + "' object cannot be interpreted as an integer", node.position);
    if (node.type != Node::Type::real) return integer(node);
    if (!(std::abs(node.real) < 0x1p63))
      fail("value cannot be converted to type int64 without overflow", node.position);
    return static_cast<int64_t>(node.real);
  }

  std::string_view text_;
  std::vector<size_t>* columns_;
};

// What NumPy once did and PyTorch still does: a list that stands alone is a tuple where it holds more than numbers.
bool is_taken_for_tuple(const Node& list) {
  return list.items.size() < 32 && std::any_of(list.items.begin(), list.items.end(), [](const Node& part) {
           return part.is_sequence() || part.type == Node::Type::slice || part.type == Node::Type::ellipsis ||
                  part.type == Node::Type::none;
         });
}

}  // namespace

Indices parse_indices(std::string_view text, bool part, std::vector<size_t>* columns) {
  bool comma = false;
  const std::vector<Node> nodes = read_index(text, comma);
  const Reader reader(text, columns);
  if (part || comma) return reader.items(nodes);
  const Node& only = nodes[0];
  if (only.type == Node::Type::tuple) return reader.items(only.items);
  if (only.type != Node::Type::list || !is_taken_for_tuple(only)) return reader.items(nodes);
  TORCH_WARN("Using a non-tuple sequence for multidimensional indexing is deprecated; \"", text, "\" is read as \"",
             text.substr(only.position + 1, text.rfind(']') - only.position - 1), "\"");
  return reader.items(only.items);
}

}  // namespace trainhost::tensor
