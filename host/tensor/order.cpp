// The order in which PyTorch's parser tries the signatures of an operator (torchgen's sort_overloads).
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "host/tensor/schema.h"

namespace trainhost::tensor {
namespace {

using c10::TypeKind;

struct TypeText {
  std::string schema;  // "SymInt[1]?", as native_functions.yaml writes it: what is smaller is told by it
  std::string parser;  // "SymIntArrayRef[1]?", as the parser's own signatures have it: they are sorted as text
};

std::string element_text(TypeKind kind, bool parser) {
  switch (kind) {
    case TypeKind::TensorType:
      return "Tensor";
    case TypeKind::NumberType:
      return "Scalar";
    case TypeKind::IntType:
      return parser ? "int64_t" : "int";
    case TypeKind::SymIntType:
      return "SymInt";
    case TypeKind::FloatType:
      return parser ? "double" : "float";
    case TypeKind::BoolType:
      return "bool";
    case TypeKind::StringType:
      return parser ? "c10::string_view" : "str";
    case TypeKind::ScalarTypeType:
      return "ScalarType";
    case TypeKind::LayoutType:
      return "Layout";
    case TypeKind::MemoryFormatType:
      return "MemoryFormat";
    case TypeKind::DeviceObjType:
      return "Device";
    case TypeKind::GeneratorType:
      return "Generator";
    default:
      return "Storage";
  }
}

std::string list_text(TypeKind kind, const std::string& size) {
  switch (kind) {
    case TypeKind::IntType:
      return "IntArrayRef" + size;
    case TypeKind::SymIntType:
      return "SymIntArrayRef" + size;
    case TypeKind::TensorType:
      return "TensorList" + size;
    case TypeKind::NumberType:
      return "ScalarList" + size;
    case TypeKind::BoolType:
      return "::std::array<bool" + size;
    case TypeKind::OptionalType:
      return "c10::List<::std::optional<Tensor>>";
    default:
      return "ArrayRef<" + element_text(kind, true) + ">";
  }
}

TypeText type_text(const c10::Argument& argument) {
  c10::TypePtr type = argument.real_type();
  const bool optional = type->kind() == TypeKind::OptionalType;
  if (optional) type = type->containedType(0);
  TypeText text;
  if (type->kind() == TypeKind::ListType) {
    const c10::TypePtr element = type->containedType(0);
    const std::string size = argument.N() ? "[" + std::to_string(*argument.N()) + "]" : "";
    text.parser = list_text(element->kind(), size);
    text.schema = (element->kind() == TypeKind::OptionalType ? "Tensor?" : element_text(element->kind(), false)) +
                  (size.empty() ? "[]" : size);
  } else {
    text = {element_text(type->kind(), false), element_text(type->kind(), true)};
  }
  if (optional) {
    text.schema += "?";
    text.parser += "?";
  }
  return text;
}

std::string default_text(const c10::IValue& value) {
  if (value.isNone()) return "None";
  if (value.isBool()) return value.toBool() ? "True" : "False";
  if (value.isIntList() && value.toIntVector().empty()) return "None";
  std::ostringstream out;
  out << value;
  return out.str();
}

bool is_option(const std::string& name) {
  return name == "dtype" || name == "layout" || name == "device" || name == "pin_memory";
}

// What is compared of a signature: its text, and the types of all that is no output.
struct Key {
  std::string text;
  std::vector<std::string> types;
};

// "Tensor input, *, Scalar alpha=1" of the arguments that are no outputs; tensor options stand last.
Key key_of(const Overload& overload) {
  std::vector<std::string> positional, keywords, options, option_types;
  Key key;
  const auto add = [&](size_t i, std::vector<std::string>& texts, std::vector<std::string>& types) {
    const TypeText type = type_text(overload.schema->arguments()[i]);
    std::string name = overload.arguments[i].name;
    if (name == "input" && type.parser == "Scalar") name = "self";
    const auto& value = overload.arguments[i].default_value;
    texts.push_back(type.parser + " " + name + (value ? "=" + default_text(*value) : ""));
    types.push_back(type.schema);
  };
  for (const int position : overload.positions) add(position, positional, key.types);
  for (size_t i = 0; i < overload.arguments.size(); ++i) {
    const Argument& argument = overload.arguments[i];
    if (!argument.kwarg_only || argument.is_out) continue;
    if (overload.options && is_option(argument.name)) add(i, options, option_types);
    else add(i, keywords, key.types);
  }
  key.types.insert(key.types.end(), option_types.begin(), option_types.end());
  if (overload.outs == 1) keywords.push_back("Tensor out=None");
  if (overload.outs > 1) keywords.push_back("TensorList[" + std::to_string(overload.outs) + "] out=None");
  keywords.insert(keywords.end(), options.begin(), options.end());
  key.text = "(";
  const auto append = [&](const std::string& text) { key.text += (key.text.size() > 1 ? ", " : "") + text; };
  for (const std::string& text : positional) append(text);
  if (!keywords.empty()) append("*");
  for (const std::string& text : keywords) append(text);
  key.text += ")";
  return key;
}

bool is_smaller_type(const std::string& a, const std::string& b) {
  return (a == "Scalar" && b == "Tensor") || (a == "Scalar?" && b == "Tensor?") ||
         (a == "int[]" && (b == "int" || b == "int?")) || (a == "Tensor[]" && b.find("[]") != std::string::npos) ||
         (a == "SymInt[]" && b == "int[]") || ((a == "SymInt" || a == "int") && b == "Tensor");
}

// Of two signatures that differ only in smaller types, the larger is tried first.
bool is_smaller(const Key& a, const Key& b) {
  if (a.types.size() != b.types.size()) return false;
  bool equal = true;
  for (size_t i = 0; i < a.types.size(); ++i) {
    if (a.types[i] == b.types[i]) continue;
    if (!is_smaller_type(a.types[i], b.types[i])) return false;
    equal = false;
  }
  return !equal;
}

// How many outputs the variant with out= has that belongs to this overload; 0: there is none.
int count_outputs(const Overload& overload, const std::vector<Overload>& outs) {
  const auto inputs = [](const Overload& of) {
    std::vector<std::string> names;
    for (size_t i = 0; i < of.arguments.size(); ++i)
      if (!of.arguments[i].is_out && !is_option(of.arguments[i].name))
        names.push_back(type_text(of.schema->arguments()[i]).schema + of.arguments[i].name);
    return names;
  };
  const auto wanted = inputs(overload);
  for (const Overload& out : outs)
    if (inputs(out) == wanted)
      return static_cast<int>(std::count_if(out.arguments.begin(), out.arguments.end(),
                                            [](const Argument& argument) { return argument.is_out; }));
  return 0;
}

}  // namespace

std::vector<Overload> in_order(std::vector<Overload> overloads, const std::vector<Overload>& outs) {
  struct Row {
    Key key;
    size_t index;
  };
  std::vector<Row> rows;
  for (size_t i = 0; i < overloads.size(); ++i) {
    overloads[i].outs = count_outputs(overloads[i], outs);
    rows.push_back({key_of(overloads[i]), i});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key.text < b.key.text; });
  std::map<size_t, std::set<size_t>> larger;
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < rows.size(); ++j)
      if (is_smaller(rows[i].key, rows[j].key)) larger[i].insert(j);
  std::vector<size_t> order;
  for (size_t i = 0; i < rows.size(); ++i)
    if (!larger.count(i)) order.push_back(i);
  for (size_t done = 0; done < order.size(); ++done)
    for (auto row = larger.begin(); row != larger.end();) {
      row->second.erase(order[done]);
      if (row->second.empty()) {
        order.push_back(row->first);
        row = larger.erase(row);
      } else {
        ++row;
      }
    }
  std::vector<Overload> ordered;
  for (const bool deprecated : {false, true})
    for (const size_t i : order)
      if (overloads[rows[i].index].deprecated == deprecated) ordered.push_back(overloads[rows[i].index]);
  return ordered;
}

}  // namespace trainhost::tensor
