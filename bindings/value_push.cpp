// From what operators return to Lua values.
#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>

#include "bindings/complex.h"
#include "bindings/dtype.h"
#include "bindings/indexing.h"
#include "bindings/value.h"

namespace trainhost::bindings {
namespace {

using c10::IValue;

template <class List, class Push>
void push_list(lua_State* L, const List& values, Push push) {
  luaL_checkstack(L, 4, "list");
  lua_createtable(L, static_cast<int>(values.size()), 0);
  for (size_t i = 0; i < values.size(); ++i) {
    push(values[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

// An element of a table, where nil would be no element.
void push_element(lua_State* L, IValue value, bool fresh) {
  if (value.isNone()) push_none(L);
  else push_ivalue(L, std::move(value), fresh);
}

void push_dict(lua_State* L, const c10::impl::GenericDict& dict, bool fresh) {
  luaL_checkstack(L, 5, "dict");
  lua_createtable(L, 0, static_cast<int>(dict.size()));
  for (const auto& entry : dict) {
    push_ivalue(L, entry.key(), fresh);
    push_element(L, entry.value(), fresh);
    lua_rawset(L, -3);
  }
}

}  // namespace

void push_scalar(lua_State* L, const at::Scalar& scalar) {
  if (scalar.isBoolean()) lua_pushboolean(L, scalar.toBool());
  else if (scalar.isIntegral(false)) lua_pushinteger(L, scalar.toLong());
  else if (scalar.isFloatingPoint()) lua_pushnumber(L, scalar.toDouble());
  else push_complex(L, static_cast<std::complex<double>>(scalar.toComplexDouble()));
}

void push_ivalue(lua_State* L, IValue value, bool fresh) {
  if (value.isTensor()) {
    if (fresh) push_tensor(L, std::move(value).toTensor());
    else push_view(L, std::move(value).toTensor());
  } else if (value.isNone()) lua_pushnil(L);
  else if (value.isBool()) lua_pushboolean(L, value.toBool());
  else if (value.isInt()) lua_pushinteger(L, value.toInt());
  else if (value.isDouble()) lua_pushnumber(L, value.toDouble());
  else if (value.isString()) lua_pushlstring(L, value.toStringRef().data(), value.toStringRef().size());
  else if (value.isDevice()) push_device(L, value.toDevice());
  else if (value.isScalar()) push_scalar(L, value.toScalar());
  else if (value.isIntList()) push_list(L, value.toIntVector(), [&](int64_t v) { lua_pushinteger(L, v); });
  else if (value.isDoubleList()) push_list(L, value.toDoubleVector(), [&](double v) { lua_pushnumber(L, v); });
  else if (value.isTensorList()) {
    const c10::List<at::Tensor> list = std::move(value).toTensorList();
    luaL_checkstack(L, 4, "list");
    lua_createtable(L, static_cast<int>(list.size()), 0);
    for (size_t i = 0; i < list.size(); ++i) {
      push_ivalue(L, list.extract(i), fresh);  // moved out: the only owner
      lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
    }
  } else if (value.isList()) push_list(L, value.toList().vec(), [&](const IValue& v) { push_element(L, v, fresh); });
  else if (value.isTuple())
    push_list(L, value.toTupleRef().elements().vec(), [&](const IValue& v) { push_element(L, v, fresh); });
  else if (value.isGenericDict()) push_dict(L, value.toGenericDict(), fresh);
  else throw Error(ErrorKind::internal, "a result of type " + value.tagKind() + " has no Lua value");
}

}  // namespace trainhost::bindings
