// The writer of pickles: lists, dicts and tensors that are met again are written once and referred to.
#include "host/save/pickle.h"

#include <bit>
#include <limits>
#include <optional>
#include <unordered_set>

#include "host/base/error.h"
#include "host/base/utf8.h"
#include "host/save/pickle_tensors.h"

namespace trainhost::save {
namespace {

constexpr size_t kBatch = 1000;  // as Python's pickler groups items

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_sequence(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace

void Pickler::number(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
}

void Pickler::memoize(uint32_t& place) {
  place = ++memo_count_;  // 0: not written yet
  const uint32_t index = place - 1;
  op(index < 256 ? 'q' : 'r');
  number(index, index < 256 ? 1 : 4);
}

bool Pickler::recall(uint32_t place) {
  if (place == 0) return false;
  const uint32_t index = place - 1;
  op(index < 256 ? 'h' : 'j');
  number(index, index < 256 ? 1 : 4);
  return true;
}

void Pickler::integer(int64_t value) {
  if (value >= 0 && value < 256) {
    op('K');
    number(static_cast<uint64_t>(value), 1);
  } else if (value >= 0 && value < 65536) {
    op('M');
    number(static_cast<uint64_t>(value), 2);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    op('J');
    number(static_cast<uint64_t>(value), 4);
  } else {
    int bytes = 8;  // as few as keep the sign
    while (bytes > 1 && (value >> (8 * (bytes - 1) - 1) == 0 || value >> (8 * (bytes - 1) - 1) == -1)) --bytes;
    op('\x8a');
    number(static_cast<uint64_t>(bytes), 1);
    number(static_cast<uint64_t>(value), bytes);
  }
}

void Pickler::real(double value) {
  op('G');
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int i = 7; i >= 0; --i) out_.push_back(static_cast<char>(bits >> (8 * i)));
}

void Pickler::global(const std::string& module, const std::string& name) {
  uint32_t& place = globals_[module + "\n" + name];
  if (recall(place)) return;
  op('c');
  out_.append(module).append("\n").append(name).append("\n");
  memoize(place);
}

void Pickler::unicode(std::string_view text) {
  if (text.size() > std::numeric_limits<uint32_t>::max())
    throw_usage("torch.save: a string of " + std::to_string(text.size()) + " bytes is longer than 4 GB");
  op('X');
  number(text.size(), 4);
  out_.append(text);
}

// Text as str; what is not valid UTF-8 as bytes, which protocol 2 writes as text of one character for each.
void Pickler::text(std::string_view text) {
  uint32_t* place = text.size() <= 100 ? &texts_[std::string(text)] : nullptr;
  if (place && recall(*place)) return;
  if (is_utf8(text)) {
    unicode(text);
  } else {
    std::string wide;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80) wide.push_back(c);
      else wide.append({static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))});
    }
    global("_codecs", "encode");
    unicode(wide);
    unicode("latin1");
    out_ += "\x86R";
  }
  if (place) memoize(*place);
}

void Pickler::items(const std::vector<Value>& values, char op_many) {
  for (size_t begin = 0; begin < values.size(); begin += 2 * kBatch) {
    op('(');
    for (size_t i = begin; i < std::min(values.size(), begin + 2 * kBatch); ++i) value(values[i]);
    op(op_many);
  }
}

void Pickler::tuple(const std::vector<Value>& values) {
  if (values.empty()) return op(')');
  if (values.size() > 3) op('(');
  for (const Value each : values) value(each);
  if (values.size() > 3) op('t');
  else op(static_cast<char>(0x84 + values.size()));
}

void Pickler::box(Value value) {
  uint32_t& place = boxes_[value.index];
  if (recall(place)) return;
  const Box& box = document_.box(value);
  switch (value.kind) {
    case Kind::list:
      op(']');
      memoize(place);
      return items(box.items, 'e');
    case Kind::dict:
      if (box.dict == Dict::plain) {
        op('}');
      } else {
        global("collections", box.dict == Dict::ordered ? "OrderedDict" : "Counter");
        out_ += ")R";
      }
      memoize(place);
      items(box.items, 'u');
      if (box.attributes.kind == Kind::dict) {
        this->value(box.attributes);
        op('b');
      }
      return;
    default:
      break;
  }
  if (!open_.insert(value.index).second) throw_usage("torch.save: a tuple or a set holds itself");
  if (value.kind == Kind::size) global("torch", "Size");
  if (value.kind == Kind::set) {
    global("__builtin__", "set");
    op(']');
    items(box.items, 'e');
    out_ += "\x85R";
  } else {
    tuple(box.items);
    if (value.kind == Kind::size) out_ += "\x85R";
  }
  open_.erase(value.index);
  memoize(place);
}

void Pickler::value(Value value) {
  switch (value.kind) {
    case Kind::none:
      return op('N');
    case Kind::boolean:
      return op(value.boolean ? '\x88' : '\x89');
    case Kind::integer:
      return integer(value.integer);
    case Kind::real:
      return real(value.real);
    case Kind::text:
    case Kind::bytes:
      return text(document_.text(value));
    case Kind::dtype:
      return dtype(static_cast<at::ScalarType>(value.integer));
    case Kind::layout:
      return layout(static_cast<at::Layout>(value.integer));
    case Kind::device:
      return device(document_.devices[value.index]);
    case Kind::tensor:
      return tensor(document_.tensors[value.index], tensors_[value.index]);
    case Kind::complex: {
      const auto& [re, im] = document_.complexes[value.index];
      global("__builtin__", "complex");
      real(re);
      real(im);
      out_ += "\x86R";
      return;
    }
    case Kind::storage:
    case Kind::global:
      throw Error(ErrorKind::internal, "torch.save: a value of a kind that Lua does not have");
    default:
      return box(value);
  }
}

Pickled Pickler::run() {
  out_ = "\x80\2";
  value(document_.root);
  op('.');
  return {std::move(out_), std::move(storages_)};
}

Pickled pickle(const Document& document) { return Pickler(document).run(); }

}  // namespace trainhost::save
