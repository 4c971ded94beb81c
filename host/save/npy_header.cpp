// A Python dict of three keys, read without Python.
#include "host/save/npy_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>

#include "host/base/error.h"
#include "host/tensor/names.h"

namespace trainhost::save {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct NpyType {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<NpyType, 14> kTypes = {{{"b1", at::kBool},
                                             {"i1", at::kChar},
                                             {"i2", at::kShort},
                                             {"i4", at::kInt},
                                             {"i8", at::kLong},
                                             {"u1", at::kByte},
                                             {"u2", at::ScalarType::UInt16},
                                             {"u4", at::ScalarType::UInt32},
                                             {"u8", at::ScalarType::UInt64},
                                             {"f2", at::kHalf},
                                             {"f4", at::kFloat},
                                             {"f8", at::kDouble},
                                             {"c8", at::kComplexFloat},
                                             {"c16", at::kComplexDouble}}};

class Parser {
 public:
  Parser(std::string_view text, const Fail& fail) : text_(text), fail_(fail) {}

  // {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
  void read(NpyHeader& header) {
    unsigned seen = 0;
    expect('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (bit == 0 || seen & bit) bad("it has the key '" + std::string(key.substr(0, 40)) + "' that does not belong");
      seen |= bit;
      expect(':');
      if (bit == 1) descr(header);
      else if (bit == 2) header.fortran = boolean();
      else shape(header);
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (seen != 7) bad("it lacks one of 'descr', 'fortran_order' and 'shape'");
    skip();
    if (at_ != text_.size()) bad("something follows behind it");
  }

 private:
  [[noreturn]] void bad(const std::string& what) {
    fail_("the array's header is damaged: " + what);
    throw Error(ErrorKind::internal, what);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) bad(std::string("expected '") + c + "' at byte " + std::to_string(at_));
  }
  std::string_view quoted() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') bad("expected a string at byte " + std::to_string(at_));
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) bad("a string does not end");
    const std::string_view text = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return text;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    bad("'fortran_order' is neither True nor False");
  }

  void descr(NpyHeader& header) {
    skip();
    if (at_ < text_.size() && text_[at_] == '[')
      throw NpyRefused{"the array is of a structured dtype, expected numbers: load its fields one by one in Python"};
    const std::string_view text = quoted();
    std::string_view name = text;
    if (!name.empty() && std::string_view("<>|=").find(name.front()) != std::string_view::npos) {
      header.big_endian = name.front() == '>';
      name.remove_prefix(1);
    }
    if (name == "?") name = "b1";
    for (const NpyType& row : kTypes)
      if (row.name == name) {
        header.type = row.type;
        header.item = c10::elementSize(row.type);
        return;
      }
    if (!name.empty() && (name.front() == 'U' || name.front() == 'S')) {
      uint64_t length = 0;
      const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), length);
      if (error != std::errc() || end != name.data() + name.size() || length > INT32_MAX)
        bad("'" + std::string(name.substr(0, 40)) + "' is no dtype of strings");
      header.text = name.front();
      header.item = header.text == 'U' ? 4 * length : length;
      return;
    }
    if (name == "O")
      throw NpyRefused{"the array holds Python objects, which are pickles: no code of a file is ever run"};
    throw NpyRefused{"the array is of dtype '" + std::string(text.substr(0, 40)) + "', which PyTorch does not have"};
  }

  void shape(NpyHeader& header) {
    expect('(');
    while (!take(')')) {
      skip();
      uint64_t value = 0;
      const size_t begin = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (value > (static_cast<uint64_t>(INT64_MAX) - 9) / 10) bad("a size is beyond 2^63");
        value = 10 * value + static_cast<uint64_t>(text_[at_] - '0');
      }
      if (at_ == begin) bad("expected a size at byte " + std::to_string(at_));
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2
      if (header.shape.size() == 64) bad("it has more than 64 dimensions");
      header.shape.push_back(static_cast<int64_t>(value));
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_;
  const Fail& fail_;
  size_t at_ = 0;
};

void check_size(NpyHeader& header, uint64_t size, const Fail& fail) {
  unsigned __int128 count = 1;
  bool empty = false;
  for (const int64_t each : header.shape) {
    empty |= each == 0;
    count *= static_cast<uint64_t>(std::max<int64_t>(each, 1));
    if (count > static_cast<uint64_t>(INT64_MAX) || count * header.item > static_cast<uint64_t>(INT64_MAX))
      fail("the array is beyond 2^63 bytes");
  }
  header.bytes = empty ? 0 : static_cast<uint64_t>(count) * header.item;
  if (header.bytes > size - header.data)
    fail("the array's shape and dtype make " + std::to_string(header.bytes) + " bytes, " +
         std::to_string(size - header.data) + " are there");
}

}  // namespace

NpyHeader read_npy_header(std::string_view head, uint64_t size, const Fail& fail) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  if (head.size() < 10 || !head.starts_with(kMagic)) fail("is no .npy array: it does not begin with \\x93NUMPY");
  const int version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0)
    fail("the array has the format version " + std::to_string(version) + "." + std::to_string(byte(7)) +
         ", 1.0 to 3.0 are known");
  const size_t begin = version == 1 ? 10 : 12;
  if (head.size() < begin) fail("the array ends within its header");
  uint64_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= static_cast<uint64_t>(byte(10)) << 16 | static_cast<uint64_t>(byte(11)) << 24;
  if (length > kMostNpyHeader - begin || length > head.size() - begin)
    fail("the array's header has " + std::to_string(length) + " bytes, at most " +
         std::to_string(std::min(kMostNpyHeader, head.size()) - begin) + " are read");
  NpyHeader header;
  Parser(head.substr(begin, length), fail).read(header);
  header.data = begin + length;
  check_size(header, size, fail);
  return header;
}

std::string npy_header(at::ScalarType type, at::IntArrayRef shape, bool fortran) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const NpyType& each) { return each.type == type; });
  if (row == kTypes.end())
    throw Error(ErrorKind::dtype, "torch.save: numpy has no dtype for torch." + std::string(tensor::name_of(type)),
                "convert it, or save a .safetensors or .pt file");
  static_assert(std::endian::native == std::endian::little);
  std::string text = "{'descr': '";
  text.append(c10::elementSize(type) == 1 ? "|" : "<").append(row->name);
  text.append("', 'fortran_order': ").append(fortran ? "True" : "False").append(", 'shape': (");
  for (size_t d = 0; d < shape.size(); ++d) text.append(d ? ", " : "").append(std::to_string(shape[d]));
  text.append(shape.size() == 1 ? ",), }" : "), }");
  // Room for the first axis to grow, as numpy leaves it.
  if (!shape.empty()) {
    const size_t digits = std::to_string(fortran ? shape.back() : shape.front()).size();
    text.append(digits < 21 ? 21 - digits : 0, ' ');
  }
  const size_t length = text.size() + 1;
  const int version = length + 63 > 0xffff ? 2 : 1;
  const size_t begin = version == 1 ? 10 : 12;
  text.append((64 - (begin + length) % 64) % 64, ' ').push_back('\n');
  std::string header(kMagic);
  header.push_back(static_cast<char>(version));
  header.push_back('\0');
  for (size_t i = 0; i < begin - 8; ++i) header.push_back(static_cast<char>(text.size() >> (8 * i)));
  return header + text;
}

}  // namespace trainhost::save
