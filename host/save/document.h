// What a PyTorch file holds, between the file and Lua: Python's plain values, tensors and the storages that they share.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::save {

enum class Kind : uint8_t {
  none,
  boolean,
  integer,
  real,
  rounded,  // real: the nearest float to an integer beyond 64 bits
  text,     // index: texts
  bytes,    // index: texts
  complex,  // index: complexes
  list,     // index: boxes, as the four that follow
  tuple,
  dict,  // items: key, value, key, value ...
  set,
  size,     // torch.Size
  tensor,   // index: tensors
  storage,  // index: storages
  dtype,    // integer: at::ScalarType
  layout,   // integer: at::Layout
  device,   // index: devices
  global,   // integer: what unpickling knows by name; never the value of a finished document
};

// 16 bytes: a list of numbers costs no more than that for each.
struct Value {
  Kind kind = Kind::none;
  union {
    bool boolean;
    int64_t integer;
    double real;
    uint32_t index;
  };
  Value() : integer(0) {}
  Value(Kind kind, int64_t value) : kind(kind), integer(value) {}
  static Value at(Kind kind, size_t index) {
    Value value;
    value.kind = kind;
    value.index = static_cast<uint32_t>(index);
    return value;
  }
};

enum class Dict : uint8_t { plain, ordered, counter };

struct Box {
  std::vector<Value> items;
  Value attributes;  // of an OrderedDict: a dict, or none
  Kind kind = Kind::list;
  Dict dict = Dict::plain;
};

// Bytes that tensors share. A view (in the oldest files) is part of another one, its `root`.
struct Storage {
  std::string key, location;  // "0", "cuda:0"
  at::ScalarType dtype = at::kByte;
  bool untyped = false;
  uint64_t bytes = 0;
  uint32_t root = 0;   // its own index but for a view
  uint64_t begin = 0;  // of a view, in its root
  at::Tensor data;     // the bytes as uint8, once they are read
};

// uninitialized: of a lazy module, without a shape.
enum class Form : uint8_t { strided, coo, compressed, meta, nested, uninitialized };

// A tensor, or how it is made of its storage or of other tensors.
struct TensorNode {
  Form form = Form::strided;
  bool requires_grad = false, parameter = false, conjugate = false, negative = false;
  std::optional<bool> coalesced;
  at::ScalarType dtype = at::kFloat;
  at::Layout layout = at::kStrided;
  uint32_t storage = 0;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
  // coo: indices, values; compressed: compressed indices, plain indices, values; nested: buffer, sizes, strides,
  // offsets
  std::array<uint32_t, 4> parts{};
  at::Tensor tensor;
};

// Boxes, texts and the like keep their place when others are added: references to them stay good.
// Values refer to each other by index, so that lists may be shared, hold themselves or be nested as deep as they like:
// nothing here recurses. Texts may lie in `source`, the pickle that they were read from.
struct Document {
  std::string source;
  std::deque<std::string> owned;
  std::deque<std::string_view> texts;
  std::deque<Box> boxes;
  std::deque<std::array<double, 2>> complexes;
  std::deque<at::Device> devices;
  std::deque<Storage> storages;
  std::deque<TensorNode> tensors;
  Value root;

  Value add_text(std::string text) {
    owned.push_back(std::move(text));
    texts.push_back(owned.back());
    return Value::at(Kind::text, texts.size() - 1);
  }
  Value add_box(Kind kind, Dict dict = Dict::plain) {
    boxes.push_back({{}, {}, kind, dict});
    return Value::at(kind, boxes.size() - 1);
  }
  const Box& box(Value value) const { return boxes[value.index]; }
  Box& box(Value value) { return boxes[value.index]; }
  std::string_view text(Value value) const { return texts[value.index]; }
  // The boxes that the root leads to, each once.
  std::vector<uint32_t> reachable() const;
};

inline bool is_box(Kind kind) noexcept { return kind >= Kind::list && kind <= Kind::size; }

}  // namespace trainhost::save
