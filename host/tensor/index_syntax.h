// What Python would read from the text of an index expression, before PyTorch makes items of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/tensor/indexing.h"

namespace trainhost::tensor {

struct Node {
  enum class Type { integer, real, boolean, none, ellipsis, slice, list, tuple };
  Type type = Type::none;
  size_t position = 0;                       // where its text begins, from 0
  bool negative = false, overflows = false;  // of an integer, whose value is beside them
  uint64_t magnitude = 0;
  double real = 0;
  Slice slice;
  std::vector<Node> items;

  Node() = default;
  Node(Type type, size_t position) : type(type), position(position) {}

  bool is_sequence() const { return type == Type::list || type == Type::tuple; }
  bool is_integer() const { return type == Type::integer || type == Type::boolean; }
  bool fits() const { return !overflows && magnitude <= uint64_t{INT64_MAX} + negative; }
  int64_t integer() const { return static_cast<int64_t>(negative ? uint64_t{0} - magnitude : magnitude); }
  int64_t clamped() const { return fits() ? integer() : negative ? -INT64_MAX : INT64_MAX; }
  const char* python_type() const {
    static constexpr const char* kNames[] = {"int", "float", "bool", "NoneType", "ellipsis", "slice", "list", "tuple"};
    return kNames[static_cast<size_t>(type)];
  }
};

// The values of the text between the brackets; `comma`: there is one at the top, which makes a tuple of them.
// Throws Error{usage} at what is no Python or takes names or arithmetic.
std::vector<Node> read_index(std::string_view text, bool& comma);
// Says what is wrong with the text, and where: at `position`, from 0.
[[noreturn]] void fail_index(std::string_view text, const std::string& what, size_t position);

}  // namespace trainhost::tensor
