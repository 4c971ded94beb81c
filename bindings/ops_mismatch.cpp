// What a call that no overload takes is told, and names that are near.
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "bindings/guard.h"
#include "bindings/ops.h"
#include "bindings/ops_overload.h"
#include "host/base/error.h"

namespace trainhost::bindings {

using tensor::Argument;
using tensor::Kind;
using tensor::Operator;
using tensor::Overload;

namespace {

std::string expected_text(const Argument& argument) {
  static const char* const kExpected[] = {"a Tensor",
                                          "a number",
                                          "an integer",
                                          "a number",
                                          "a boolean",
                                          "a string",
                                          "a dtype",
                                          "a layout",
                                          "a memory_format",
                                          "a device",
                                          "a Generator",
                                          "a list of integers",
                                          "a list of numbers",
                                          "a list of booleans",
                                          "a list of numbers",
                                          "a list of Tensors",
                                          "a list of Tensors",
                                          "a list of strings",
                                          "?"};
  const std::string text = kExpected[static_cast<int>(argument.kind)];
  return argument.length == 0              ? text
         : argument.kind == Kind::integers ? "an integer or " + text
                                           : "a number or " + text;
}

// The signatures that are not deprecated, a line each.
std::string listed(const Operator& op, bool method) {
  std::string text;
  for (const Overload& overload : op.overloads)
    if (!overload.deprecated && (!method || !overload.self_positions.empty()))
      text += "\n * " + overload.listing(method);
  return text;
}

}  // namespace

std::string public_name(const Operator& op, bool method) {
  if (method) return "Tensor." + op.name;
  for (const char* space : {"linalg_", "fft_", "special_"}) {
    const size_t size = std::strlen(space);
    if (op.name.compare(0, size, space) == 0)
      return "torch." + std::string(space, size - 1) + "." + op.name.substr(size);
  }
  const size_t colons = op.name.find("::");
  if (colons == std::string::npos) return "torch." + op.name;
  return "torch.ops." + op.name.substr(0, colons) + "." + op.name.substr(colons + 2);
}

[[noreturn]] void throw_no_overload(lua_State* L, const Operator& op, Call& call, bool method) {
  const std::string name = public_name(op, method);
  if (method && (call.positional == 0 || !test_tensor(L, 1)))
    throw_usage(name + ": the first argument must be a Tensor, got " + describe(L, 1),
                "call a method with ':', as in x:" + op.name + "()");
  const auto& overloads = call.out ? op.outs : op.overloads;
  const Overload* only = nullptr;
  int candidates = 0;
  Slots slots;
  bool varargs;
  for (const Overload& overload : overloads)
    if (place(overload, call, method, slots, varargs)) {
      only = &overload;
      ++candidates;
    }
  if (candidates == 1) {
    const Argument* misfit = nullptr;
    int index = 0;
    tensor::Stack stack;
    bind(L, op, *only, call, method, Fit::lenient, stack, &misfit, &index);
    if (misfit && index == 0)
      throw_usage(name + ": missing argument '" + misfit->name + "' (" + expected_text(*misfit) + ")",
                  name + only->signature(method));
    if (misfit)
      throw_usage(name + ": argument '" + misfit->name + "' must be " + expected_text(*misfit) + ", got " +
                  describe(L, index));
  }
  std::string got;
  for (int i = method ? 2 : 1; i <= call.positional; ++i) got += (got.empty() ? "" : ", ") + describe(L, i);
  for (int k = 0; k < call.keyword_count; ++k)
    got += (got.empty() ? "" : ", ") + std::string(call.keywords[k].name()) + "=" + describe(L, call.keywords[k].index);
  throw_usage(name + ": received an invalid combination of arguments - got (" + got +
              "), but expected one of:" + listed(op, method));
}

void warn_deprecated(const Operator& op, const Overload& overload, bool method) {
  static std::mutex mutex;
  static auto* const warned = new std::set<const Overload*>;
  {
    const std::lock_guard lock(mutex);
    if (!warned->insert(&overload).second) return;
  }
  TORCH_WARN("This overload of ", op.name, " is deprecated:\n\t", op.name, overload.listing(method),
             "\nConsider using one of the following signatures instead:", listed(op, method));
}

std::string nearest_operators(std::string_view name, bool method) {
  std::vector<std::pair<size_t, const std::string*>> near;
  const size_t most = name.size() <= 3 ? 1 : name.size() <= 6 ? 2 : 3;
  for (const std::string& candidate : tensor::operator_names()) {
    const bool inside = name.size() >= 4 && candidate.find(name) != std::string::npos;
    const size_t distance = inside ? most : edit_distance(name, candidate);
    if (distance <= most) near.emplace_back(distance, &candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->size() < b.second->size();
  });
  std::string text;
  for (size_t i = 0, shown = 0; i < near.size() && shown < 3; ++i) {
    const Operator* op = tensor::find_operator(*near[i].second);
    if (!op || op->name[0] == '_' || (method && op->overloads.empty())) continue;
    text += (shown++ ? ", '" : "did you mean '") + *near[i].second + "'";
  }
  return text.empty() ? text : text + "?";
}

}  // namespace trainhost::bindings
