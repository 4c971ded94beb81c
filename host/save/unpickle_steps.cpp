// The opcodes of plain values, of protocols 2 to 5.
#include <bit>
#include <cmath>

#include "host/base/utf8.h"
#include "host/save/unpickle.h"

namespace trainhost::save {

bool Unpickler::is_magic(Value value) noexcept {
  return value.kind == Kind::global && value.integer == static_cast<int64_t>(Global::magic_number);
}

namespace {

// The nearest double to an integer of more than 8 bytes, little-endian and in two's complement.
double nearest(std::string_view bytes) {
  const bool negative = (bytes.back() & 0x80) != 0;
  std::string magnitude(bytes);
  if (negative) {
    unsigned carry = 1;
    for (char& c : magnitude) {
      carry += static_cast<unsigned char>(~c);
      c = static_cast<char>(carry);
      carry >>= 8;
    }
  }
  while (!magnitude.empty() && magnitude.back() == 0) magnitude.pop_back();
  if (magnitude.size() > 200) return negative ? -HUGE_VAL : HUGE_VAL;
  // The 8 leading bytes have more bits than a double; one more says whether anything follows them.
  uint64_t leading = 0;
  const size_t rest = magnitude.size() > 8 ? magnitude.size() - 8 : 0;
  for (size_t i = magnitude.size(); i-- > rest;) leading = (leading << 8) | static_cast<unsigned char>(magnitude[i]);
  for (size_t i = 0; i < rest; ++i) leading |= magnitude[i] != 0 ? 1 : 0;
  const double value = std::ldexp(static_cast<double>(leading), static_cast<int>(8 * rest));
  return negative ? -value : value;
}

}  // namespace

// Little-endian, two's complement, as short as it goes.
void Unpickler::push_long(std::string_view bytes) {
  if (bytes == std::string_view("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10))
    return push(Value(Kind::global, static_cast<int64_t>(Global::magic_number)));
  if (bytes.size() > 8) {
    Value value(Kind::rounded, 0);
    value.real = nearest(bytes);
    return push(value);
  }
  uint64_t value = !bytes.empty() && (bytes.back() & 0x80) ? ~uint64_t{0} : 0;
  for (size_t i = bytes.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  push(Value(Kind::integer, static_cast<int64_t>(value)));
}

void Unpickler::memoize(uint64_t index, Value value) {
  if (index == memo_.size()) return budget_.push(memo_, value);
  if (index < memo_.size()) {
    memo_[index] = value;
    return;
  }
  if (far_memo_.emplace(index, value).second) budget_.take(64);
  else far_memo_[index] = value;
}

bool Unpickler::step_scalar(unsigned char op) {
  switch (op) {
    case 'N':
      push(Value());
      return true;
    case 0x88:
    case 0x89: {
      Value value(Kind::boolean, 0);
      value.boolean = op == 0x88;
      push(value);
      return true;
    }
    case 'J':
      push(Value(Kind::integer, static_cast<int32_t>(take_number(4))));
      return true;
    case 'K':
      push(Value(Kind::integer, static_cast<int64_t>(take_number(1))));
      return true;
    case 'M':
      push(Value(Kind::integer, static_cast<int64_t>(take_number(2))));
      return true;
    case 'G': {
      uint64_t bits = 0;
      for (const char c : take(8)) bits = (bits << 8) | static_cast<unsigned char>(c);
      Value value(Kind::real, 0);
      value.real = std::bit_cast<double>(bits);
      push(value);
      return true;
    }
    case 0x8a:
      push_long(take(take_number(1)));
      return true;  // LONG1
    case 0x8b:
      push_long(take(take_number(4)));
      return true;  // LONG4
    default:
      return false;
  }
}

bool Unpickler::step_text(unsigned char op) {
  const auto checked = [&](uint64_t size) {
    const std::string_view text = take(size);
    for (size_t i = 0; i < text.size();) {
      // Python lets single surrogates pass; a Lua string holds whatever it is given.
      const bool surrogate = text.size() - i >= 3 && text[i] == '\xed' && (text[i + 1] & 0xe0) == 0xa0;
      const size_t length = static_cast<unsigned char>(text[i]) < 0x80 ? 1 : surrogate ? 3 : utf8_sequence(text, i);
      if (length == 0) fail("a str is not valid UTF-8");
      i += length;
    }
    push_text(Kind::text, text);
  };
  switch (op) {
    case 'X':
      checked(take_number(4));
      return true;
    case 0x8c:
      checked(take_number(1));
      return true;  // SHORT_BINUNICODE
    case 0x8d:
      checked(take_number(8));
      return true;  // BINUNICODE8
    case 'U':
      push_text(Kind::text, take(take_number(1)));
      return true;  // Python 2's str
    case 'T':
      push_text(Kind::text, take(take_number(4)));
      return true;
    case 'C':
      push_text(Kind::bytes, take(take_number(1)));
      return true;
    case 'B':
      push_text(Kind::bytes, take(take_number(4)));
      return true;
    case 0x8e:
      push_text(Kind::bytes, take(take_number(8)));
      return true;  // BINBYTES8
    case 0x96:
      push_text(Kind::bytes, take(take_number(8)));
      return true;  // BYTEARRAY8
    default:
      return false;
  }
}

bool Unpickler::step_container(unsigned char op) {
  const auto tuple = [&](size_t count) {
    Args items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    const Value made = new_box(Kind::tuple);
    add_items(made, items);
    push(made);
  };
  const auto group = [&](Kind kind) {
    const Args items = pop_mark();
    const Value made = new_box(kind);
    add_items(made, items);
    push(made);
    budget_.give(items.size() * sizeof(Value));
  };
  const auto check = [&](const char* op_name, Kind kind, const char* expected) {
    if (top().kind != kind) fail(std::string("Can only ") + op_name + " to " + expected);
  };
  switch (op) {
    case '(':
      budget_.push(marks_, stack_.size());
      return true;
    case ')':
      push(new_box(Kind::tuple));
      return true;
    case ']':
      push(new_box(Kind::list));
      return true;
    case '}':
      push(new_box(Kind::dict));
      return true;
    case 0x8f:
      push(new_box(Kind::set));
      return true;
    case 't':
      group(Kind::tuple);
      return true;
    case 'l':
      group(Kind::list);
      return true;
    case 0x91:
      group(Kind::set);
      return true;  // FROZENSET
    case 0x85:
      tuple(1);
      return true;
    case 0x86:
      tuple(2);
      return true;
    case 0x87:
      tuple(3);
      return true;
    case 'a': {
      const Value item = pop();
      check("append", Kind::list, "lists");
      add_items(top(), {item});
      return true;
    }
    case 's': {
      const Value value = pop(), key = pop();
      check("set items", Kind::dict, "dicts");
      set_items(top(), {key, value});
      return true;
    }
    case 'e':
    case 'u':
    case 'd':
    case 0x90: {
      const Args items = pop_mark();
      if (op == 'd') push(new_box(Kind::dict));
      if (op == 'e') check("extend", Kind::list, "lists");
      else if (op == 0x90) check("add", Kind::set, "sets");
      else check("set items", Kind::dict, "dicts");
      if (op == 'u' || op == 'd') set_items(top(), items);
      else add_items(top(), items);
      budget_.give(items.size() * sizeof(Value));
      return true;
    }
    default:
      return false;
  }
}

bool Unpickler::step_memo(unsigned char op) {
  switch (op) {
    case 'q':
      memoize(take_number(1), top());
      return true;
    case 'r':
      memoize(take_number(4), top());
      return true;
    case 0x94:
      memoize(memo_.size(), top());
      return true;  // MEMOIZE
    case 'h':
    case 'j': {
      const uint64_t index = take_number(op == 'h' ? 1 : 4);
      const auto far = far_memo_.find(index);
      if (index >= memo_.size() && far == far_memo_.end()) fail("its memo has no value " + std::to_string(index));
      push(index < memo_.size() ? memo_[index] : far->second);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace trainhost::save
