// Calls and signatures of an overload.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "host/tensor/catalog.h"

namespace trainhost::tensor {
namespace {

std::string default_text(const Argument& argument) {
  const c10::IValue& value = *argument.default_value;
  if (value.isNone()) return "nil";
  if (value.isBool()) return value.toBool() ? "true" : "false";
  if (value.isIntList()) {
    std::string text = "{";
    for (int64_t v : value.toIntVector()) text += (text.size() > 1 ? ", " : "") + std::to_string(v);
    return text + "}";
  }
  std::ostringstream out;
  out << value;
  return out.str();
}

std::string python_default(const Argument& argument) {
  const c10::IValue& value = *argument.default_value;
  if (argument.name == "reduction" && value.isInt()) return "at::Reduction::Mean";
  if (value.isNone() || argument.kind == Kind::dtype || (value.isIntList() && value.toIntVector().empty()))
    return "None";
  if (value.isBool()) return value.toBool() ? "True" : "False";
  if (value.isString()) return '"' + value.toStringRef() + '"';
  if (!value.isIntList()) return default_text(argument);
  const std::vector<int64_t> values = value.toIntVector();
  if (argument.length > 0 && std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == values[0]; }))
    return std::to_string(values[0]);
  std::string text = "{";
  for (const int64_t v : values) text += (text.size() > 1 ? "," : "") + std::to_string(v);
  return text + "}";
}

std::string kind_text(const Argument& argument) {
  static const char* const kNames[] = {"Tensor",  "Number", "int",           "float",    "bool",      "str",
                                       "dtype",   "layout", "memory_format", "device",   "Generator", "int[]",
                                       "float[]", "bool[]", "Number[]",      "Tensor[]", "Tensor?[]", "str[]",
                                       "?",       "?"};
  if (argument.type) return argument.type->str();
  std::string text = kNames[static_cast<int>(argument.kind)];
  if (argument.length > 0 && text.ends_with("[]")) text.insert(text.size() - 1, std::to_string(argument.length));
  return text;
}

}  // namespace

void Overload::call(Stack& stack) const {
  if (guard) guard(*this, stack);
  handle->callBoxed(&stack);
}

std::string Overload::signature(bool method) const {
  std::string text = "(";
  bool starred = false;
  const auto add = [&](const Argument& argument) {
    if (text.size() > 1) text += ", ";
    if (argument.kwarg_only && !starred) {
      text += "*, ";
      starred = true;
    }
    text += kind_text(argument) + " " + argument.name;
    if (argument.default_value) text += "=" + default_text(argument);
  };
  const auto& order = method ? self_positions : positions;
  for (size_t i = method ? 1 : 0; i < order.size(); ++i) add(arguments[order[i]]);
  for (const Argument& argument : arguments)
    if (argument.kwarg_only && argument.kind != Kind::unsupported) add(argument);
  return text + ")";
}

std::string Overload::listing(bool method) const {
  static constexpr const char* kNames[] = {"Tensor",
                                           "Number",
                                           "int",
                                           "float",
                                           "bool",
                                           "str",
                                           "torch.dtype",
                                           "torch.layout",
                                           "torch.memory_format",
                                           "torch.device",
                                           "torch.Generator",
                                           "tuple of ints",
                                           "tuple of floats",
                                           "tuple of bools",
                                           "tuple of Scalars",
                                           "tuple of Tensors",
                                           "tuple of Tensors",
                                           "tuple of strs",
                                           "?",
                                           "?"};
  std::string text = "(";
  bool starred = false;
  const auto add = [&](const std::string& item, bool keyword) {
    if (keyword && !starred) text += text.size() > 1 ? ", *" : "*";
    starred |= keyword;
    text += (text.size() > 1 ? ", " : "") + item;
  };
  const auto item = [&](const Argument& argument) {
    // PyTorch calls a `self` that is no tensor by that name.
    const bool self = argument.kind != Kind::tensor && argument.name == "input" &&
                      schema->arguments()[static_cast<size_t>(&argument - arguments.data())].name() == "self";
    const std::string type = argument.type ? argument.type->str() : kNames[static_cast<int>(argument.kind)];
    return type + " " + (self ? "self" : argument.name) +
           (argument.default_value ? " = " + python_default(argument) : "");
  };
  const auto& order = method ? self_positions : positions;
  for (size_t i = method ? 1 : 0; i < order.size(); ++i) add(item(arguments[order[i]]), false);
  std::vector<std::string> of_options;
  for (const Argument& argument : arguments) {
    if (!argument.kwarg_only || argument.is_out || argument.kind == Kind::unsupported) continue;
    if (options && (argument.name == "dtype" || argument.name == "layout" || argument.name == "device" ||
                    argument.name == "pin_memory"))
      of_options.push_back(argument.name == "pin_memory" ? "bool pin_memory = False" : item(argument));
    else add(item(argument), true);
  }
  if (outs == 1 && !method) add("Tensor out = None", true);
  if (outs > 1 && !method) add("tuple of Tensors out = None", true);
  for (const std::string& option : of_options) add(option, true);
  if (options) add("bool requires_grad = False", true);
  return text + ")";
}

}  // namespace trainhost::tensor
