// Lists of lists, dicts, tuples and their like for the operators of others' libraries: by the schema's type, part by
// part.
#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <algorithm>

#include "bindings/indexing.h"
#include "bindings/size.h"
#include "bindings/value.h"
#include "host/tensor/schema.h"

namespace trainhost::bindings {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;

// dtypes and the like are integers at run time.
TypePtr element_type(const TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::ScalarTypeType:
    case TypeKind::LayoutType:
    case TypeKind::MemoryFormatType:
      return c10::IntType::get();
    default:
      return type;
  }
}

bool to_part(lua_State* L, const c10::Type& type, Fit fit, IValue& out) {
  return to_nested(L, lua_gettop(L), type, fit, out);
}

// False for a table with keys other than 1, 2 ... n.
bool is_list(lua_State* L, int index, size_t& size) {
  unwrap_size(L, index);
  size = lua_rawlen(L, index);
  size_t keys = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) ++keys;
  return keys == size;
}

bool to_list(lua_State* L, int index, const c10::Type& type, Fit fit, IValue& out) {
  size_t size = 0;
  if (!is_list(L, index, size)) return false;
  const TypePtr element = type.containedType(0);
  c10::impl::GenericList list(element_type(element));
  for (size_t i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, static_cast<lua_Integer>(i));
    IValue value;
    const bool fits = to_part(L, *element, fit, value);
    lua_pop(L, 1);
    if (!fits) return false;
    list.push_back(std::move(value));
  }
  out = std::move(list);
  return true;
}

bool to_tuple(lua_State* L, int index, const c10::Type& type, Fit fit, IValue& out) {
  const auto parts = type.containedTypes();
  std::vector<IValue> values(parts.size());
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const auto key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key >= 1 && key <= static_cast<lua_Integer>(parts.size())) continue;
    lua_pop(L, 2);
    return false;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    lua_rawgeti(L, index, static_cast<lua_Integer>(i + 1));
    const bool fits = to_part(L, *parts[i], fit, values[i]);
    lua_pop(L, 1);
    if (!fits) return false;
  }
  out = c10::ivalue::Tuple::create(std::move(values));
  return true;
}

bool comes_before(const IValue& a, const IValue& b) {
  if (a.isString() && b.isString()) return a.toStringRef() < b.toStringRef();
  if (a.isInt() && b.isInt()) return a.toInt() < b.toInt();
  return a.isDouble() && b.isDouble() && a.toDouble() < b.toDouble();
}

bool to_dict(lua_State* L, int index, const c10::Type& type, Fit fit, IValue& out) {
  const TypePtr key = type.containedType(0), element = type.containedType(1);
  std::vector<std::pair<IValue, IValue>> entries;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    auto& entry = entries.emplace_back();
    bool fits = to_part(L, *element, fit, entry.second);
    lua_pushvalue(L, -2);
    fits = fits && to_part(L, *key, fit, entry.first);
    lua_pop(L, 1);
    if (fits) continue;
    lua_pop(L, 2);
    return false;
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return comes_before(a.first, b.first); });
  c10::impl::GenericDict dict(element_type(key), element_type(element));
  for (auto& entry : entries) dict.insert(std::move(entry.first), std::move(entry.second));
  out = std::move(dict);
  return true;
}

}  // namespace

bool to_nested(lua_State* L, int index, const c10::Type& type, Fit fit, IValue& out) {
  const tensor::Kind kind = tensor::kind_of(type);
  if (kind != tensor::Kind::nested) {
    tensor::Argument argument;
    argument.name = "value";
    argument.kind = kind;
    return to_ivalue(L, index, argument, fit, out);
  }
  luaL_checkstack(L, 8, "nested value");
  if (type.kind() == TypeKind::OptionalType) {
    if (!lua_isnoneornil(L, index) && !is_none(L, index)) return to_nested(L, index, *type.containedType(0), fit, out);
    out = IValue();
    return true;
  }
  if (!lua_istable(L, index)) return false;
  const int top = lua_gettop(L);
  lua_pushvalue(L, index);  // unwrap_size may replace it
  const bool fits = type.kind() == TypeKind::ListType    ? to_list(L, top + 1, type, fit, out)
                    : type.kind() == TypeKind::TupleType ? to_tuple(L, top + 1, type, fit, out)
                                                         : to_dict(L, top + 1, type, fit, out);
  lua_settop(L, top);
  return fits;
}

}  // namespace trainhost::bindings
