// The catalog: the dispatcher's schemas, read once per operator name.
#include "host/tensor/catalog.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "host/tensor/guards.h"

namespace trainhost::tensor {
namespace {

using c10::TypeKind;

Kind element_kind(const c10::TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      return Kind::integers;
    case TypeKind::FloatType:
      return Kind::reals;
    case TypeKind::BoolType:
      return Kind::booleans;
    case TypeKind::NumberType:
      return Kind::scalars;
    case TypeKind::TensorType:
      return Kind::tensors;
    case TypeKind::StringType:
      return Kind::strings;
    case TypeKind::OptionalType:
      return type->containedType(0)->kind() == TypeKind::TensorType ? Kind::optional_tensors : Kind::unsupported;
    default:
      return Kind::unsupported;
  }
}

Kind kind_of(const c10::TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::TensorType:
      return Kind::tensor;
    case TypeKind::NumberType:
      return Kind::scalar;
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      return Kind::integer;
    case TypeKind::FloatType:
      return Kind::real;
    case TypeKind::BoolType:
      return Kind::boolean;
    case TypeKind::StringType:
      return Kind::string;
    case TypeKind::ScalarTypeType:
      return Kind::dtype;
    case TypeKind::LayoutType:
      return Kind::layout;
    case TypeKind::MemoryFormatType:
      return Kind::memory_format;
    case TypeKind::DeviceObjType:
      return Kind::device;
    case TypeKind::GeneratorType:
      return Kind::generator;
    case TypeKind::ListType:
      return element_kind(type->containedType(0));
    default:
      return Kind::unsupported;
  }
}

Argument read_argument(const c10::Argument& from) {
  Argument argument;
  c10::TypePtr type = from.real_type();
  if (type->kind() == TypeKind::OptionalType) {
    argument.optional = true;
    type = type->containedType(0);
  }
  argument.name = from.name();
  argument.kind = kind_of(type);
  argument.kwarg_only = from.kwarg_only();
  argument.is_out = from.is_out();
  argument.length = from.N().value_or(0);
  if (from.default_value()) argument.default_value = std::make_shared<const c10::IValue>(*from.default_value());
  return argument;
}

bool is_list(Kind kind) {
  return kind == Kind::integers || kind == Kind::reals || kind == Kind::booleans || kind == Kind::scalars ||
         kind == Kind::tensors || kind == Kind::optional_tensors || kind == Kind::strings;
}

// Nothing that Lua could give fits an argument of this kind, and it cannot be left out.
bool is_uncallable(const Argument& argument) {
  return argument.kind == Kind::unsupported && !argument.optional && !argument.default_value;
}

bool has_names(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(),
                     [](const c10::Argument& argument) {
                       return argument.name() == "names" || argument.type()->str().find("Dimname") != std::string::npos;
                     }) ||
         schema.overload_name().find("Dimname") != std::string::npos ||
         schema.overload_name().find("names") != std::string::npos;
}

std::optional<Overload> read_overload(const c10::OperatorHandle& handle) {
  Overload overload;
  overload.handle = std::make_unique<c10::OperatorHandle>(handle);
  overload.schema = &handle.schema();
  if (has_names(*overload.schema)) return std::nullopt;
  int self = -1;
  bool has_tensor = false;
  for (const c10::Argument& from : overload.schema->arguments()) {
    const int index = static_cast<int>(overload.arguments.size());
    overload.arguments.push_back(read_argument(from));
    Argument& argument = overload.arguments.back();
    if (is_uncallable(argument)) return std::nullopt;
    if (argument.kind == Kind::tensor || argument.kind == Kind::tensors || argument.kind == Kind::optional_tensors)
      has_tensor = true;
    if (argument.name == "self") {
      self = index;
      argument.name = "input";
    }
    if (!argument.kwarg_only) overload.positions.push_back(index);
    if (from.alias_info() && from.alias_info()->isWrite()) {
      overload.mutates = true;
      if (!argument.is_out) overload.writes = index;
    }
  }
  if (self >= 0 && overload.arguments[self].kind == Kind::tensor) {
    overload.self_positions.push_back(self);
    for (int index : overload.positions)
      if (index != self) overload.self_positions.push_back(index);
  }
  const auto takes_varargs = [&](const std::vector<int>& positions, size_t first) {
    return positions.size() == first + 1 && overload.arguments[positions[first]].kind == Kind::integers;
  };
  overload.varargs = takes_varargs(overload.positions, 0);
  overload.self_varargs = takes_varargs(overload.self_positions, 1);
  overload.factory = !has_tensor && std::any_of(overload.arguments.begin(), overload.arguments.end(),
                                                [](const Argument& a) { return a.name == "pin_memory"; });
  const auto& returns = overload.schema->returns();
  overload.returns_dtype = returns.size() == 1 && returns[0].real_type()->kind() == TypeKind::ScalarTypeType;
  overload.aliases = std::any_of(returns.begin(), returns.end(), [](const c10::Argument& r) { return r.alias_info(); });
  if (overload.writes >= 0) {
    // The written argument is the result only if the schema says that the result is that alias.
    const bool returned = returns.size() == 1 && returns[0].alias_info() && returns[0].alias_info()->isWrite();
    if (!returned) overload.writes = -1;
  }
  return overload;
}

// PyTorch's order of argument types (tools/autograd/gen_python_functions.py, is_arg_smaller): of two signatures
// that differ only in smaller types, the larger is tried first.
bool is_smaller(const Argument& a, const Argument& b) {
  if (a.kind == Kind::scalar && b.kind == Kind::tensor) return true;
  if (a.kind == Kind::integer && b.kind == Kind::tensor) return true;
  if (a.kind == Kind::integers && b.kind == Kind::integer) return true;
  return a.kind == Kind::tensors && b.kind != Kind::tensors && is_list(b.kind);
}

bool is_smaller(const Overload& a, const Overload& b) {
  if (a.arguments.size() != b.arguments.size()) return false;
  bool equal = true;
  for (size_t i = 0; i < a.arguments.size(); ++i) {
    if (a.arguments[i].kind == b.arguments[i].kind) continue;
    if (!is_smaller(a.arguments[i], b.arguments[i])) return false;
    equal = false;
  }
  return !equal;
}

std::vector<Overload> in_order(std::vector<Overload> overloads) {
  std::sort(overloads.begin(), overloads.end(),
            [](const Overload& a, const Overload& b) { return a.schema->overload_name() < b.schema->overload_name(); });
  std::vector<Overload> ordered;
  while (!overloads.empty()) {
    size_t next = 0;
    for (size_t i = 0; i < overloads.size(); ++i) {
      const bool is_free = std::none_of(overloads.begin(), overloads.end(), [&](const Overload& other) {
        return &other != &overloads[i] && is_smaller(overloads[i], other);
      });
      if (is_free) {
        next = i;
        break;
      }
    }
    ordered.push_back(std::move(overloads[next]));
    overloads.erase(overloads.begin() + static_cast<std::ptrdiff_t>(next));
  }
  return ordered;
}

bool takes_numbers_for_tensors(const std::string& name) {
  static const std::unordered_set<std::string> kNames = {
      "add",    "add_",    "sub",         "sub_",         "subtract",     "subtract_",
      "mul",    "mul_",    "multiply",    "multiply_",    "div",          "div_",
      "divide", "divide_", "true_divide", "true_divide_", "floor_divide", "floor_divide_"};
  return kNames.count(name) > 0;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_public(std::string_view name) {
  if (name.empty() || name[0] == '_' || name.find("_backward") != std::string_view::npos) return false;
  for (std::string_view start :
       {"mkldnn_", "quantized_", "fbgemm_", "sym_", "sparse_coo_tensor_unsafe", "cudnn_", "miopen_"})
    if (name.substr(0, start.size()) == start) return false;
  return !ends_with(name, "_copy_out") && name != "record_stream";
}

class Catalog {
 public:
  static Catalog& the() {
    static auto* catalog = new Catalog;  // like the dispatcher, alive until the process ends
    return *catalog;
  }

  const Operator* find(const std::string& qualified_name) {
    std::lock_guard lock(mutex_);
    if (auto found = operators_.find(qualified_name); found != operators_.end()) return found->second.get();
    auto row = index_.find(qualified_name);
    if (row == index_.end()) {
      read_index();  // a library of custom operators may have been loaded
      row = index_.find(qualified_name);
      if (row == index_.end()) return nullptr;
    }
    return operators_.emplace(qualified_name, read_operator(qualified_name, row->second)).first->second.get();
  }

  const Operator* find_overload(const std::string& qualified_name, const std::string& overload_name) {
    std::lock_guard lock(mutex_);
    const std::string key = qualified_name + "." + overload_name;
    if (auto found = operators_.find(key); found != operators_.end()) return found->second.get();
    const std::string name = overload_name == "default" ? "" : overload_name;
    if (!c10::Dispatcher::singleton().findSchema({qualified_name, name})) return nullptr;
    auto op = read_operator(qualified_name, {name}, /*one=*/true);
    op->name = key;
    return operators_.emplace(key, std::move(op)).first->second.get();
  }

  std::vector<std::string> overload_names(const std::string& qualified_name) {
    std::lock_guard lock(mutex_);
    if (index_.count(qualified_name) == 0) read_index();
    std::vector<std::string> names;
    if (auto row = index_.find(qualified_name); row != index_.end())
      for (const std::string& name : row->second) names.push_back(name.empty() ? "default" : name);
    std::sort(names.begin(), names.end());
    return names;
  }

  void refresh() {
    std::lock_guard lock(mutex_);
    auto before = std::move(index_);
    read_index();
    for (const auto& [name, overloads] : index_) {
      const auto known = before.find(name);
      const auto found = operators_.find(name);
      if (found == operators_.end() || (known != before.end() && known->second.size() == overloads.size())) continue;
      replaced_.push_back(std::exchange(found->second, read_operator(name, overloads)));  // Lua may hold the old one
    }
  }

  const std::vector<std::string>& public_names() {
    std::lock_guard lock(mutex_);
    if (public_names_.empty()) {
      for (const auto& [name, overloads] : index_)
        if (name.rfind("aten::", 0) == 0 && is_public(std::string_view(name).substr(6)))
          public_names_.push_back(name.substr(6));
      std::sort(public_names_.begin(), public_names_.end());
    }
    return public_names_;
  }

  bool has(const std::string& qualified_name) {
    std::lock_guard lock(mutex_);
    return index_.count(qualified_name) > 0;
  }

 private:
  Catalog() { read_index(); }

  void read_index() {
    index_.clear();
    for (auto& name : c10::Dispatcher::singleton().getAllOpNames()) index_[name.name].push_back(name.overload_name);
  }

  // `one`: the overload was asked for by its name.
  std::unique_ptr<Operator> read_operator(const std::string& qualified_name, const std::vector<std::string>& names,
                                          bool one = false) {
    auto op = std::make_unique<Operator>();
    op->name = qualified_name.rfind("aten::", 0) == 0 ? qualified_name.substr(6) : qualified_name;
    op->numbers_as_tensors = takes_numbers_for_tensors(op->name);
    std::vector<Overload> overloads;
    for (const std::string& overload_name : names) {
      // PyTorch makes a tensor of the number instead: x + 1 is add.Tensor.
      if (!one && op->numbers_as_tensors && overload_name.rfind("Scalar", 0) == 0) continue;
      const auto handle = c10::Dispatcher::singleton().findSchema({qualified_name, overload_name});
      if (!handle) continue;
      std::optional<Overload> overload = read_overload(*handle);
      if (!overload) continue;
      overload->guard = find_guard(qualified_name);
      const bool is_out = !overload->arguments.empty() && overload->arguments.back().is_out;
      (is_out ? op->outs : overloads).push_back(std::move(*overload));
    }
    op->overloads = in_order(std::move(overloads));
    op->outs = in_order(std::move(op->outs));
    return op;
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<std::string>> index_;
  std::unordered_map<std::string, std::unique_ptr<Operator>> operators_;
  std::vector<std::unique_ptr<Operator>> replaced_;
  std::vector<std::string> public_names_;
};

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

std::string kind_text(const Argument& argument) {
  static const char* const kNames[] = {"Tensor",  "Number", "int",           "float",    "bool",      "str",
                                       "dtype",   "layout", "memory_format", "device",   "Generator", "int[]",
                                       "float[]", "bool[]", "Number[]",      "Tensor[]", "Tensor?[]", "str[]",
                                       "?"};
  std::string text = kNames[static_cast<int>(argument.kind)];
  if (argument.length > 0 && ends_with(text, "[]")) text.insert(text.size() - 1, std::to_string(argument.length));
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

const Operator* find_any_operator(const std::string& qualified_name) { return Catalog::the().find(qualified_name); }

const Operator* find_overload(const std::string& qualified_name, const std::string& overload_name) {
  return Catalog::the().find_overload(qualified_name, overload_name);
}

std::vector<std::string> overload_names(const std::string& qualified_name) {
  return Catalog::the().overload_names(qualified_name);
}

void refresh_catalog() { Catalog::the().refresh(); }

const Operator* find_operator(std::string_view name) {
  if (!is_public(name)) return nullptr;
  const std::string qualified = "aten::" + std::string(name);
  Catalog& catalog = Catalog::the();
  if (!catalog.has(qualified)) return nullptr;
  const Operator* op = catalog.find(qualified);
  return op && (!op->overloads.empty() || !op->outs.empty()) ? op : nullptr;
}

const std::vector<std::string>& operator_names() { return Catalog::the().public_names(); }

}  // namespace trainhost::tensor
