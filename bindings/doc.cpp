// native.doc: what help and the editor's stubs are made of: docstrings of rows, schemas of operators, the text of
// stdlib.
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <cmath>

#include "bindings/guard.h"
#include "host/tensor/catalog.h"
#include "host/vm/modules.h"
#include "host/vm/stdlib.h"

namespace trainhost::bindings {
namespace {

using tensor::Argument;
using tensor::Kind;
using tensor::Overload;

void set_text(lua_State* L, const char* field, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, field);
}

void set_flag(lua_State* L, const char* field, bool value) {
  if (!value) return;
  lua_pushboolean(L, true);
  lua_setfield(L, -2, field);
}

// --- Rows

int rows(lua_State* L) {
  lua_newtable(L);
  lua_Integer count = 0;
  push_row_tables(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const auto* row = static_cast<const Row*>(lua_touserdata(L, -2));
    for (; row && row->name; ++row) {
      lua_createtable(L, 0, 4);
      set_text(L, "name", row->name);
      if (row->doc && *row->doc) set_text(L, "doc", row->doc);
      lua_pushcfunction(L, row->function);
      lua_setfield(L, -2, "fn");
      lua_pushvalue(L, -2);
      lua_setfield(L, -2, "home");
      lua_rawseti(L, -5, ++count);
    }
  }
  lua_pop(L, 1);
  return 1;
}

// --- Operators

std::string number_text(double value) {
  if (std::isinf(value)) return value < 0 ? "-math.huge" : "math.huge";
  if (std::isnan(value)) return "0/0";
  for (int digits = 1; digits <= 17; ++digits) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) != value) continue;
    const std::string shortest = text;
    return shortest.find_first_of(".e") == std::string::npos ? shortest + ".0" : shortest;
  }
  return "0.0";
}

// The default as it is written in Lua; empty if Lua has no word for it.
std::string lua_text(const c10::IValue& value) {
  if (value.isNone()) return "nil";
  if (value.isBool()) return value.toBool() ? "true" : "false";
  if (value.isInt()) return std::to_string(value.toInt());
  if (value.isDouble()) return number_text(value.toDouble());
  if (value.isString()) return "\"" + value.toStringRef() + "\"";
  if (!value.isList()) return {};
  std::string text;
  for (const c10::IValue& item : value.toListRef()) text += (text.empty() ? "" : ", ") + lua_text(item);
  return "{" + text + "}";
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::tensor:
      return "tensor";
    case Kind::scalar:
      return "scalar";
    case Kind::integer:
      return "integer";
    case Kind::real:
      return "number";
    case Kind::boolean:
      return "boolean";
    case Kind::string:
      return "string";
    case Kind::dtype:
      return "dtype";
    case Kind::layout:
      return "layout";
    case Kind::memory_format:
      return "memory_format";
    case Kind::device:
      return "device";
    case Kind::generator:
      return "Generator";
    case Kind::integers:
      return "integer[]";
    case Kind::reals:
      return "number[]";
    case Kind::booleans:
      return "boolean[]";
    case Kind::scalars:
      return "number[]";
    case Kind::tensors:
    case Kind::optional_tensors:
      return "Tensor[]";
    case Kind::strings:
      return "string[]";
    default:
      return "unsupported";
  }
}

void push_argument(lua_State* L, const Argument& argument) {
  lua_createtable(L, 0, 6);
  set_text(L, "name", argument.name);
  set_text(L, "kind", kind_name(argument.kind));
  set_flag(L, "optional", argument.optional);
  set_flag(L, "keyword", argument.kwarg_only);
  set_flag(L, "out", argument.is_out);
  set_flag(L, "one_or_list", argument.length > 0);
  if (argument.default_value) set_text(L, "default", lua_text(*argument.default_value));
}

std::string result_type(const c10::Argument& result) {
  c10::TypePtr type = result.real_type();
  const bool optional = type->kind() == c10::TypeKind::OptionalType;
  if (optional) type = type->containedType(0);
  const auto name = [](const c10::TypePtr& of) -> std::string {
    switch (of->kind()) {
      case c10::TypeKind::TensorType:
        return "Tensor";
      case c10::TypeKind::BoolType:
        return "boolean";
      case c10::TypeKind::IntType:
      case c10::TypeKind::SymIntType:
        return "integer";
      case c10::TypeKind::FloatType:
      case c10::TypeKind::NumberType:
        return "number";
      case c10::TypeKind::StringType:
        return "string";
      case c10::TypeKind::ScalarTypeType:
        return "dtype";
      default:
        return "any";
    }
  };
  const std::string text = type->kind() == c10::TypeKind::ListType ? name(type->containedType(0)) + "[]" : name(type);
  return optional ? text + "?" : text;
}

void push_positions(lua_State* L, const std::vector<int>& positions) {
  lua_createtable(L, static_cast<int>(positions.size()), 0);
  for (size_t i = 0; i < positions.size(); ++i) {
    lua_pushinteger(L, positions[i] + 1);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

void push_overload(lua_State* L, const Overload& overload) {
  lua_createtable(L, 0, 8);
  set_text(L, "overload", overload.schema->overload_name());
  lua_createtable(L, static_cast<int>(overload.arguments.size()), 0);
  for (size_t i = 0; i < overload.arguments.size(); ++i) {
    push_argument(L, overload.arguments[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_setfield(L, -2, "arguments");
  push_positions(L, overload.positions);
  lua_setfield(L, -2, "positions");
  if (!overload.self_positions.empty()) {
    push_positions(L, overload.self_positions);
    lua_setfield(L, -2, "self_positions");
  }
  set_flag(L, "varargs", overload.varargs);
  set_flag(L, "self_varargs", overload.self_varargs);
  set_flag(L, "factory", overload.factory);
  const auto& results = overload.schema->returns();
  lua_createtable(L, static_cast<int>(results.size()), 0);
  for (size_t i = 0; i < results.size(); ++i) {
    lua_createtable(L, 0, 2);
    set_text(L, "type", overload.returns_dtype ? "dtype" : result_type(results[i]));
    if (!results[i].name().empty()) set_text(L, "name", results[i].name());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_setfield(L, -2, "results");
}

int overloads(lua_State* L) {
  const std::string name = luaL_checkstring(L, 1);
  const tensor::Operator* op = name.starts_with("aten::") ? tensor::find_operator(name.substr(6)) : nullptr;
  if (!op) op = tensor::find_any_operator(name);
  if (!op) return lua_pushnil(L), 1;
  lua_newtable(L);
  lua_Integer count = 0;
  for (const auto* list : {&op->overloads, &op->outs})
    for (const Overload& overload : *list) {
      push_overload(L, overload);
      set_flag(L, "out", list == &op->outs);
      lua_rawseti(L, -2, ++count);
    }
  return 1;
}

// --- The standard library

int files(lua_State* L) {
  lua_createtable(L, static_cast<int>(vm::stdlib_size()), 0);
  for (size_t i = 0; i < vm::stdlib_size(); ++i) {
    lua_createtable(L, 0, 2);
    set_text(L, "name", vm::stdlib_file(i).name);
    set_text(L, "file", vm::stdlib_file(i).file);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int text(lua_State* L) {
  const std::string all = vm::stdlib_text(L, luaL_checkstring(L, 1));
  lua_pushlstring(L, all.data(), all.size());
  return 1;
}

constexpr Row kRows[] = {
    {"rows", guarded<rows>,
     "Returns every row of the native modules and types that are open: {name, fn, doc (nil: none), home = the table "
     "it\n"
     "was set in}.\n@return table[]"},
    {"overloads", guarded<overloads>,
     "Returns the overloads of an operator in the order in which they are tried, those with out= behind: {overload,\n"
     "arguments = {name, kind, optional, keyword, out, one_or_list, default}[], positions, self_positions, varargs,\n"
     "self_varargs, factory, out, results = {type, name}[]}; nil if there is no such operator. Of a public one those "
     "of\n"
     "torch.NAME, whose defaults may be others than torch.ops'.\n"
     "@param name string \"aten::add\"\n@return table[]?"},
    {"files", guarded<files>,
     "Returns the files of the standard library, each {name = module, file}.\n@return table[]"},
    {"text", guarded<text>, "Returns the text of one of them.\n@param file string\n@return string"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_doc(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
