// Python's syntax of numbers, lists, tuples and slices.
#include "host/tensor/index_syntax.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

// Reads one expression from left to right; `position_` is where the next character stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<Node> parse(bool& comma) {
    std::vector<Node> items;
    skip_spaces();
    if (at_end()) fail("expected an index", 0);
    comma = false;
    while (!at_end()) {
      items.push_back(item());
      skip_spaces();
      if (at_end()) break;
      if (!accept(",")) fail("expected ',' or the end", position_);
      comma = true;
      skip_spaces();
    }
    return items;
  }

 private:
  [[noreturn]] void fail(const std::string& what, size_t position) const { fail_index(text_, what, position); }
  bool at_end() const { return position_ == text_.size(); }
  char peek(size_t ahead = 0) const { return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0'; }
  static bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
  static bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

  void skip_spaces() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n') ++position_;
  }

  bool accept(std::string_view token) {
    if (text_.substr(position_, token.size()) != token) return false;
    position_ += token.size();
    return true;
  }

  // A word is not the beginning of a longer one.
  bool accept_word(std::string_view word) { return !is_word(peek(word.size())) && accept(word); }

  // One end of a slice: an integer, a boolean or None; nothing where `value` is null.
  std::optional<int64_t> bound(const Node* value) const {
    if (!value || value->type == Node::Type::none) return std::nullopt;
    if (!value->is_integer()) fail("slice indices must be integers or None", value->position);
    return value->clamped();
  }

  std::optional<int64_t> bound() {
    skip_spaces();
    if (at_end() || peek() == ':' || peek() == ',') return std::nullopt;
    const Node value = expression();
    skip_spaces();
    return bound(&value);
  }

  Node item() {
    Node result;
    const size_t begin = position_;
    const bool open = peek() == ':';
    if (!open) result = expression();
    skip_spaces();
    if (!accept(":")) return result;
    const auto start = bound(open ? nullptr : &result);
    result = Node(Node::Type::slice, begin);
    result.slice = {start, bound(), std::nullopt};
    if (accept(":")) result.slice.step = bound();
    return result;
  }

  // A value with the signs before it.
  Node expression() {
    const size_t begin = position_;
    while (peek() == '+' || peek() == '-' || peek() == '~' || peek() == ' ') ++position_;
    const std::string signs(text_.substr(begin, position_ - begin));
    if (signs.find_first_not_of(' ') == std::string::npos) return primary();
    if (!is_digit(peek()) && !is_word(peek()) && !(peek() == '.' && is_digit(peek(1))))
      fail("expected a number after the sign", begin);
    Node value = primary();
    for (auto sign = signs.rbegin(); sign != signs.rend(); ++sign) {
      if (*sign == ' ') continue;
      if (!value.is_integer() && (value.type != Node::Type::real || *sign == '~'))
        fail(std::string("bad operand type for unary ") + *sign + ": '" + value.python_type() + "'", begin);
      if (value.is_integer()) value.type = Node::Type::integer;
      if (*sign == '-') {
        value.real = -value.real;
        value.negative = !value.negative && value.magnitude > 0;
      } else if (*sign == '~') {  // -(n + 1)
        value.negative = !value.negative;
        value.magnitude = value.negative ? value.magnitude + 1 : value.magnitude - 1;
      }
    }
    value.position = begin;
    return value;
  }

  Node primary() {
    const size_t begin = position_;
    if (accept("[")) return sequence(Node::Type::list, "]", begin);
    if (accept("(")) return sequence(Node::Type::tuple, ")", begin);
    if (accept("...")) return Node(Node::Type::ellipsis, begin);
    if (accept_word("None")) return Node(Node::Type::none, begin);
    for (const bool truth : {true, false}) {
      if (!accept_word(truth ? "True" : "False") && !accept_word(truth ? "true" : "false")) continue;
      Node value{Node::Type::boolean, begin};
      value.magnitude = truth;
      return value;
    }
    if (accept_word("slice")) return slice_call(begin);
    if (is_digit(peek()) || (peek() == '.' && is_digit(peek(1)))) return number();
    fail("expected an integer, a slice such as 1:10:2, '...', None, True, False or a list", begin);
  }

  void enter(size_t begin) {
    if (++depth_ > 64) fail("a list nested more than 64 deep", begin);
  }

  // What follows "[" or "(": a list, a tuple, or a value in parentheses.
  Node sequence(Node::Type type, const char* close, size_t begin) {
    enter(begin);
    Node result{type, begin};
    bool comma = false;
    for (skip_spaces(); !accept(close); skip_spaces()) {
      if (!result.items.empty() && !comma) fail(std::string("expected ',' or '") + close + "'", position_);
      result.items.push_back(expression());
      skip_spaces();
      comma = accept(",");
    }
    --depth_;
    if (type == Node::Type::tuple && result.items.size() == 1 && !comma) {
      Node only = std::move(result.items[0]);
      return only;
    }
    return result;
  }

  // slice(stop), slice(start, stop), slice(start, stop, step)
  Node slice_call(size_t begin) {
    skip_spaces();
    if (!accept("(")) fail("expected '(' after slice", position_);
    enter(begin);
    std::vector<Node> sides;
    for (skip_spaces(); !accept(")"); skip_spaces()) {
      sides.push_back(expression());
      skip_spaces();
      if (!accept(",") && peek() != ')') fail("expected ',' or ')'", position_);
    }
    --depth_;
    if (sides.empty() || sides.size() > 3)
      fail("slice expected 1 to 3 arguments, got " + std::to_string(sides.size()), begin);
    Node result{Node::Type::slice, begin};
    if (sides.size() == 1) sides.insert(sides.begin(), Node{});
    result.slice = {bound(&sides[0]), bound(&sides[1]), bound(sides.size() > 2 ? &sides[2] : nullptr)};
    return result;
  }

  // Digits, one "_" between any two, appended to `out`.
  template <class IsDigit>
  void digits(std::string& out, size_t begin, IsDigit is) {
    const size_t first = position_;
    while (is(peek()) || (peek() == '_' && is(peek(1)) && position_ > first)) {
      if (peek() != '_') out += peek();
      ++position_;
    }
    if (position_ == first) fail("expected a digit", begin);
  }

  Node number() {
    const size_t begin = position_;
    Node value{Node::Type::integer, begin};
    std::string text;
    int base = 10;
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(peek(1))));
    if (peek() == '0' && (kind == 'x' || kind == 'o' || kind == 'b')) {
      base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
      position_ += 2;
      if (peek() == '_') ++position_;
      digits(text, begin, [&](char c) {
        return base == 16 ? std::isxdigit(static_cast<unsigned char>(c)) : c >= '0' && c < '0' + base;
      });
    } else {
      const auto part = [&] { digits(text, begin, is_digit); };
      if (peek() != '.') part();
      if (accept(".")) {
        value.type = Node::Type::real;
        text += '.';
        if (is_digit(peek())) part();
      }
      if (peek() == 'e' || peek() == 'E') {
        value.type = Node::Type::real;
        text += text_[position_++];
        if (peek() == '+' || peek() == '-') text += text_[position_++];
        part();
      }
    }
    if (is_word(peek())) fail("expected a number", begin);
    const char *first = text.data(), *last = first + text.size();
    if (value.type == Node::Type::real) {
      if (std::from_chars(first, last, value.real).ec == std::errc::result_out_of_range)
        value.real = text.find("e-") == std::string::npos && text.find("E-") == std::string::npos ? HUGE_VAL : 0.0;
      return value;
    }
    value.overflows = std::from_chars(first, last, value.magnitude, base).ec == std::errc::result_out_of_range;
    if (value.overflows) value.magnitude = std::numeric_limits<uint64_t>::max() / 2 + 2;
    if (base == 10 && text.size() > 1 && text[0] == '0' && value.magnitude > 0)
      fail("leading zeros in decimal integer literals are not permitted", begin);
    return value;
  }

  std::string_view text_;
  size_t position_ = 0;
  int depth_ = 0;
};

}  // namespace

std::vector<Node> read_index(std::string_view text, bool& comma) { return Parser(text).parse(comma); }

void fail_index(std::string_view text, const std::string& what, size_t position) {
  throw_usage("tensor index \"" + std::string(text) + "\": " + what + " at column " + std::to_string(position + 1) +
              (position < text.size() ? ", got '" + std::string(text.substr(position, 12)) + "'" : ", got the end"));
}

}  // namespace trainhost::tensor
