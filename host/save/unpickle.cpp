// The machine: a stack and what opcodes do to it; the opcodes of plain values are unpickle_steps.cpp's.
#include "host/save/unpickle.h"

namespace trainhost::save {
namespace {

constexpr uint64_t kTextCost = 70;  // a string in Lua, and its place

}  // namespace

void Unpickler::fail(const std::string& reason) const {
  file_.fail("Weights only load failed at byte " + std::to_string(at_) + " of the pickle: " + reason);
}

std::string_view Unpickler::take(uint64_t count) {
  if (count > document_.source.size() - at_) throw RanOut();
  const std::string_view part(document_.source.data() + at_, count);
  at_ += count;
  return part;
}

std::string_view Unpickler::take_line() {
  const size_t end = document_.source.find('\n', at_);
  if (end == std::string::npos) throw RanOut();
  const std::string_view line(document_.source.data() + at_, end - at_);
  at_ = end + 1;
  return line;
}

uint64_t Unpickler::take_number(int bytes) {
  const std::string_view part = take(static_cast<uint64_t>(bytes));
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(part[static_cast<size_t>(i)]);
  return value;
}

Value Unpickler::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("it takes a value where none is");
  const Value value = stack_.back();
  stack_.pop_back();
  return value;
}

Value& Unpickler::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("it takes a value where none is");
  return stack_.back();
}

Unpickler::Args Unpickler::pop_mark() {
  if (marks_.empty()) fail("it ends a group that did not begin");
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  budget_.take(static_cast<uint64_t>(stack_.end() - begin) * sizeof(Value));
  Args items(begin, stack_.end());
  stack_.erase(begin, stack_.end());
  marks_.pop_back();
  return items;
}

Value Unpickler::new_box(Kind kind, Dict dict) {
  budget_.take(sizeof(Box));
  return document_.add_box(kind, dict);
}

void Unpickler::add_items(Value list, const Args& items) {
  std::vector<Value>& to = document_.box(list).items;
  for (const Value item : items) {
    if (list.kind == Kind::set && (item.kind == Kind::list || item.kind == Kind::dict || item.kind == Kind::set))
      fail("a set holds a list or a dict, which Python cannot hash");
    budget_.push(to, item);
  }
}

void Unpickler::set_items(Value dict, const Args& items) {
  if (items.size() % 2 != 0) fail("a dict is given a key without a value");
  std::vector<Value>& to = document_.box(dict).items;
  for (size_t i = 0; i < items.size(); i += 2) {
    const Kind kind = items[i].kind;
    if (kind == Kind::list || kind == Kind::dict || kind == Kind::set) fail("a key is a list or a dict");
    if (kind == Kind::real && items[i].real != items[i].real) fail("a key is NaN");
    budget_.push(to, items[i]);
    budget_.push(to, items[i + 1]);
  }
}

void Unpickler::push_text(Kind kind, std::string_view text) {
  budget_.take(text.size() + kTextCost);
  document_.texts.push_back(text);
  push(Value::at(kind, document_.texts.size() - 1));
}

void Unpickler::step(unsigned char op) {
  if (step_memo(op) || step_scalar(op) || step_text(op) || step_container(op)) return;
  switch (op) {
    case 0x80:
      if (const uint64_t protocol = take_number(1); protocol > 5)
        fail("its protocol is " + std::to_string(protocol) + ", 2 to 5 are supported");
      return;
    case 0x95:
      take_number(8);
      return;  // FRAME: a hint for readers from pipes
    case '0':
      if (!marks_.empty() && marks_.back() == stack_.size()) marks_.pop_back();
      else pop();
      return;
    case '1':
      budget_.give(pop_mark().size() * sizeof(Value));
      return;
    case '2':
      push(top());
      return;
    case 'c': {
      const std::string_view module = take_line(), name = take_line();
      push(find_global(module, name));
      return;
    }
    case 0x93: {  // STACK_GLOBAL
      const Value name = pop(), module = pop();
      if (name.kind != Kind::text || module.kind != Kind::text) fail("a global has no name");
      push(find_global(document_.text(module), document_.text(name)));
      return;
    }
    case 'R':
    case 0x81: {  // REDUCE and NEWOBJ: no class of the list has a __new__ that differs
      const Value arguments = pop();
      const Value function = pop();
      push(reduce(function, arguments));
      return;
    }
    case 'b': {
      const Value state = pop();
      build(top(), state);
      return;
    }
    case 'Q':
      push(persistent(pop()));
      return;
    default:
      fail("Unsupported operand " + std::to_string(op));
  }
}

Value Unpickler::load() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  far_memo_.clear();
  for (;;) {
    const auto op = static_cast<unsigned char>(take(1).front());
    if (op == '.') return pop();
    step(op);
  }
}

}  // namespace trainhost::save
