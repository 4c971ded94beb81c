// Schemas read once: kinds of arguments, positions, what is written to.
#include "host/tensor/schema.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <string_view>

namespace trainhost::tensor {
namespace {

using c10::TypeKind;

Kind element_kind(const c10::Type& type) {
  switch (type.kind()) {
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
      return type.containedType(0)->kind() == TypeKind::TensorType ? Kind::optional_tensors : Kind::nested;
    default:
      return Kind::nested;
  }
}

// Does Lua have a value for everything in it?
bool is_given(const c10::Type& type) {
  const auto contained = type.containedTypes();
  return std::all_of(contained.begin(), contained.end(),
                     [](const c10::TypePtr& part) { return kind_of(*part) != Kind::unsupported; });
}

Argument read_argument(const c10::Argument& from) {
  Argument argument;
  c10::TypePtr type = from.real_type();
  if (type->kind() == TypeKind::OptionalType) {
    argument.optional = true;
    type = type->containedType(0);
  }
  argument.name = from.name();
  argument.kind = kind_of(*type);
  if (argument.kind == Kind::nested) argument.type = type.get();
  argument.kwarg_only = from.kwarg_only();
  argument.is_out = from.is_out();
  argument.length = from.N().value_or(0);
  if (from.default_value()) argument.default_value = std::make_shared<const c10::IValue>(*from.default_value());
  return argument;
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

// Where the arguments of old signatures stand. Those that were optional keywords are needed there.
struct Deprecated {
  std::string_view name;
  std::vector<std::string_view> order;
};

const std::vector<Deprecated>& deprecated_orders() {
  static const auto* const orders = [] {
    auto* all = new std::vector<Deprecated>;
    for (const char* name : {"add", "add_", "sub", "sub_"}) all->push_back({name, {"input", "alpha", "other"}});
    for (const char* name : {"addcdiv", "addcdiv_", "addcmul", "addcmul_"})
      all->push_back({name, {"input", "value", "tensor1", "tensor2"}});
    const auto with_beta = [&](const char* name, std::string_view first, std::string_view second) {
      all->push_back({name, {"beta", "input", "alpha", first, second}});
      all->push_back({name, {"beta", "input", first, second}});
    };
    for (const char* name : {"addbmm", "addbmm_", "baddbmm", "baddbmm_"}) with_beta(name, "batch1", "batch2");
    for (const char* name : {"addmm", "addmm_", "sspaddmm"}) with_beta(name, "mat1", "mat2");
    for (const char* name : {"addmv", "addmv_"}) with_beta(name, "mat", "vec");
    for (const char* name : {"addr", "addr_"}) with_beta(name, "vec1", "vec2");
    return all;
  }();
  return *orders;
}

}  // namespace

Kind kind_of(const c10::Type& type) {
  switch (type.kind()) {
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
      return is_given(type) ? element_kind(*type.containedType(0)) : Kind::unsupported;
    case TypeKind::OptionalType:
    case TypeKind::DictType:
    case TypeKind::TupleType:
      return is_given(type) ? Kind::nested : Kind::unsupported;
    default:
      return Kind::unsupported;
  }
}

std::optional<Overload> read_overload(const c10::OperatorHandle& handle) {
  Overload overload;
  overload.handle = std::make_shared<const c10::OperatorHandle>(handle);
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
  for (size_t i = 0; i < overload.arguments.size(); ++i)
    if (overload.arguments[i].name == "pin_memory") overload.pin_memory = static_cast<int>(i);
  overload.options = overload.pin_memory >= 0;
  overload.factory = overload.below_autograd = overload.options && !has_tensor;
  if (overload.factory)
    for (size_t i = 0; i < overload.arguments.size(); ++i)
      if (overload.arguments[i].kind == Kind::device) overload.device = static_cast<int>(i);
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

void bind_as_python(std::string_view name, Overload& overload) {
  // The generator of Python's bindings writes the default `Mean` as a word, which the parser reads as 0.
  static constexpr std::string_view kLosses[] = {"binary_cross_entropy_with_logits",
                                                 "cosine_embedding_loss",
                                                 "ctc_loss",
                                                 "hinge_embedding_loss",
                                                 "kl_div",
                                                 "margin_ranking_loss",
                                                 "triplet_margin_loss"};
  if (std::find(std::begin(kLosses), std::end(kLosses), name) != std::end(kLosses))
    for (Argument& argument : overload.arguments)
      if (argument.name == "reduction")
        argument.default_value = std::make_shared<const c10::IValue>(static_cast<int64_t>(at::Reduction::None));
  overload.below_autograd |= overload.options && name.ends_with("_like");
}

std::vector<Overload> deprecated_forms(const std::string& name, const Overload& overload) {
  std::vector<Overload> forms;
  for (const Deprecated& row : deprecated_orders()) {
    if (row.name != name) continue;
    Overload form = overload;
    form.deprecated = true;
    form.positions.clear();
    for (const std::string_view argument : row.order)
      for (size_t i = 0; i < form.arguments.size(); ++i)
        if (form.arguments[i].name == argument) form.positions.push_back(static_cast<int>(i));
    const bool leaves_out = std::any_of(form.arguments.begin(), form.arguments.end(), [&](const Argument& argument) {
      return !argument.default_value && !argument.is_out &&
             std::find(row.order.begin(), row.order.end(), argument.name) == row.order.end();
    });
    if (leaves_out || form.positions.size() != row.order.size()) continue;
    for (const int position : form.positions) {
      form.arguments[position].kwarg_only = false;
      form.arguments[position].default_value = nullptr;
    }
    form.self_positions = form.positions;
    const auto self = std::find_if(form.self_positions.begin(), form.self_positions.end(),
                                   [&](int i) { return form.arguments[i].name == "input"; });
    std::rotate(form.self_positions.begin(), self, self + 1);
    forms.push_back(std::move(form));
  }
  return forms;
}

}  // namespace trainhost::tensor
