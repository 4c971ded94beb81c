// What a call that no overload takes is told, and names that are near.
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

#include "bindings/guard.h"
#include "bindings/indexing.h"
#include "bindings/ops.h"
#include "bindings/ops_overload.h"
#include "bindings/settings.h"
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

// Is the element on top of the stack one that the list `argument` takes?
bool takes(lua_State* L, const Argument& argument) {
  int64_t integer = 0;
  switch (argument.kind) {
    case Kind::integers:
      return to_integer(L, -1, Fit::lenient, integer);
    case Kind::reals:
    case Kind::scalars:
      return to_scalar(L, -1).has_value();
    case Kind::booleans:
      return lua_isboolean(L, -1);
    case Kind::strings:
      return lua_type(L, -1) == LUA_TSTRING;
    case Kind::optional_tensors:
      return test_tensor(L, -1) || is_none(L, lua_gettop(L));
    case Kind::tensors:
      return test_tensor(L, -1);
    default:
      return true;
  }
}

// The value at `index`, or of a list what does not fit in it: `nil at [2]`.
std::string describe_for(lua_State* L, int index, const Argument& argument) {
  if (lua_type(L, index) != LUA_TTABLE) return describe(L, index);
  const auto size = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    std::string text = takes(L, argument) ? "" : describe(L, lua_gettop(L)) + " at [" + std::to_string(i) + "]";
    lua_pop(L, 1);
    if (!text.empty()) return text;
  }
  return describe(L, index);
}

bool is_closed(lua_State* L, int index) { return test<at::Tensor>(L, index) && !test_tensor(L, index); }

// A closed tensor is told first, whatever else does not fit.
void refuse_closed(lua_State* L, const std::string& function, const std::string& argument, int index) {
  if (is_closed(L, index)) throw_usage(function + ": argument '" + argument + "' is a closed Tensor", kClosedHint);
  if (lua_type(L, index) != LUA_TTABLE) return;
  const auto size = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    if (is_closed(L, lua_gettop(L)))
      throw_usage(function + ": argument '" + argument + "' holds a closed Tensor at [" + std::to_string(i) + "]",
                  kClosedHint);
    lua_pop(L, 1);
  }
}

void refuse_closed(lua_State* L, const std::vector<Overload>& overloads, const Call& call, bool method,
                   const std::string& function) {
  for (int i = 0; i < call.positional; ++i) {
    std::string name = "number " + std::to_string(i + 1);
    for (const Overload& overload : overloads) {
      const auto& positions = method ? overload.self_positions : overload.positions;
      if (i >= static_cast<int>(positions.size())) continue;
      name = overload.arguments[positions[i]].name;
      break;
    }
    refuse_closed(L, function, name, i + 1);
  }
  for (int k = 0; k < call.keyword_count; ++k)
    refuse_closed(L, function, std::string(call.keywords[k].name()), call.keywords[k].index);
  if (call.out) refuse_closed(L, function, "out", call.out);
}

// What out= has to be for an overload that takes `count` outputs.
[[noreturn]] void refuse_out(lua_State* L, const std::string& function, const Overload& overload, int out) {
  const auto count = std::count_if(overload.arguments.begin(), overload.arguments.end(),
                                   [](const Argument& argument) { return argument.is_out; });
  const Argument& last = overload.arguments.back();
  const bool is_list = count > 1 || last.kind == Kind::tensors;
  Argument list = last;
  list.kind = Kind::tensors;
  throw_usage(function + ": argument 'out' must be " +
              (!is_list    ? "a Tensor"
               : count > 1 ? "a list of " + std::to_string(count) + " Tensors"
                           : "a list of Tensors") +
              ", got " + (is_list ? describe_for(L, out, list) : describe(L, out)));
}

// The one overload that could be meant, by how many arguments it takes, as PyTorch tells; null if there are several.
const Overload* plausible(const std::vector<Overload>& overloads, const Call& call, bool method) {
  const Overload *only = nullptr, *found = nullptr;
  int count = 0, fit = 0;
  const int given = call.positional + call.keyword_count;
  for (const Overload& overload : overloads) {
    if (overload.deprecated || (method && overload.self_positions.empty())) continue;
    const auto needed = std::count_if(overload.arguments.begin(), overload.arguments.end(), [](const Argument& a) {
      return !a.default_value && !a.is_out && a.kind != Kind::unsupported;
    });
    only = &overload;
    ++count;
    if (given < needed || given > static_cast<int>(overload.arguments.size()) + overload.options) continue;
    found = &overload;
    ++fit;
  }
  return count == 1 ? only : fit == 1 ? found : nullptr;
}

// Too many values, an unknown keyword, or one given twice: in PyTorch's words.
void refuse_places(const Operator& op, const Overload& overload, const Call& call, bool method,
                   const std::string& name) {
  const auto& positions = method ? overload.self_positions : overload.positions;
  const auto most = static_cast<int>(positions.size()), first = method ? 1 : 0;
  const bool varies = method ? overload.self_varargs : overload.varargs;
  if (call.positional > most && !varies)
    throw_usage(name + ": " + op.name + "() takes " + std::to_string(most - first) + " positional argument" +
                    (most - first == 1 ? "" : "s") + " but " + std::to_string(call.positional - first) +
                    (call.positional - first == 1 ? " was given" : " were given"),
                name + overload.signature(method));
  for (int k = 0; k < call.keyword_count; ++k) {
    const size_t argument = find_argument(overload, call.keywords[k].name());
    const std::string keyword(call.keywords[k].name());
    const auto place = std::find(positions.begin(), positions.end(), static_cast<int>(argument));
    if (argument == overload.arguments.size()) {
      if (!overload.options || !is_option(keyword))
        throw_usage(name + ": " + op.name + "() got an unexpected keyword argument '" + keyword + "'",
                    name + overload.signature(method));
    } else if (place - positions.begin() < call.positional) {
      throw_usage(name + ": " + op.name + "() got multiple values for argument '" + keyword + "'");
    }
  }
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
  refuse_closed(L, overloads, call, method, name);
  if (const Overload* only = plausible(overloads, call, method)) {
    const Argument* misfit = nullptr;
    int index = 0;
    tensor::Stack stack;
    refuse_places(op, *only, call, method, name);
    bind(L, op, *only, call, method, Fit::lenient, stack, &misfit, &index);
    if (misfit && misfit->is_out && call.out) refuse_out(L, name, *only, call.out);
    if (misfit && index == 0)
      throw_usage(name + ": missing argument '" + misfit->name + "' (" + expected_text(*misfit) + ")",
                  name + only->signature(method));
    if (misfit)
      throw_usage(name + ": argument '" + misfit->name + "' must be " + expected_text(*misfit) + ", got " +
                  describe_for(L, index, *misfit));
  }
  std::string got;
  for (int i = method ? 2 : 1; i <= call.positional; ++i) got += (got.empty() ? "" : ", ") + describe(L, i);
  for (int k = 0; k < call.keyword_count; ++k)
    got += (got.empty() ? "" : ", ") + std::string(call.keywords[k].name()) + "=" + describe(L, call.keywords[k].index);
  if (call.out) got += (got.empty() ? "out=" : ", out=") + describe(L, call.out);
  throw_usage(name + ": received an invalid combination of arguments - got (" + got +
              "), but expected one of:" + listed(op, method));
}

void warn_deprecated(lua_State* L, const Operator& op, const Overload& overload, bool method) {
  if (!settings(L).deprecations_told.insert(&overload).second) return;
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
