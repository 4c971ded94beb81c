// Lua's operators on tensors, and x.name, x[index].
#include <cctype>
#include <string>

#include "bindings/indexing.h"
#include "bindings/ops.h"
#include "bindings/printing.h"
#include "bindings/tensor.h"
#include "bindings/tensor_type.h"

namespace trainhost::bindings {
namespace {

bool is_identifier(const char* text) {
  if (!std::isalpha(static_cast<unsigned char>(*text)) && *text != '_') return false;
  for (; *text; ++text)
    if (!std::isalnum(static_cast<unsigned char>(*text)) && *text != '_') return false;
  return true;
}

// x.name, x:name(...), x[index]. Upvalues: methods, attributes.
int tensor_index(lua_State* L) {
  if (lua_type(L, 2) != LUA_TSTRING) return index_get(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
    const lua_CFunction attribute = lua_tocfunction(L, -1);
    lua_settop(L, 2);
    return attribute(L);
  }
  lua_settop(L, 2);
  const char* name = lua_tostring(L, 2);
  if (!is_identifier(name)) return index_get(L);
  if (!push_operator(L, name, Form::method)) {
    const std::string text = name;
    const bool is_index = text == "True" || text == "False" || text == "None";
    throw_usage(
        "a Tensor has no method or attribute '" + text + "'",
        is_index ? "an index that is one word ends with a comma: x[\"" + text + ",\"]" : nearest_operators(name, true));
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}

int tensor_newindex(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : nullptr;
  if (!name || !is_identifier(name)) return index_set(L);
  assign_attribute(L, name);
  return 0;
}

int tensor_tostring(lua_State* L) {
  const TensorHandle* handle = test<at::Tensor>(L, 1);
  std::string text = "Tensor (freed)";
  if (handle && handle->tensor.defined()) {
    text = tensor_text(L, handle->tensor, handle->parameter);
  }
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int tensor_equal(lua_State* L) {
  const auto *a = test<at::Tensor>(L, 1), *b = test<at::Tensor>(L, 2);
  lua_pushboolean(L, a && b && a->tensor.is_same(b->tensor));
  return 1;
}

int tensor_len(lua_State* L) {
  const at::Tensor& tensor = shaped_tensor(L, "__len__");
  if (tensor.dim() == 0) throw Error(ErrorKind::shape, "len() of a 0-d tensor", "#x is x:size(0)");
  lua_pushinteger(L, tensor.size(0));
  return 1;
}

int no_order(lua_State* L) {
  throw_usage("tensors are not ordered by < and <=, which give one boolean in Lua",
              "compare elements with x:lt(y), x:le(y), x:gt(y), x:ge(y)");
}

int no_pairs(lua_State* L) {
  throw_usage("a Tensor is not iterated by pairs", "use x:iter() for its rows or x:unbind() for a table of them");
}

// 2 / x as PyTorch computes it: reciprocal first. Upvalues: div, reciprocal, mul.
int divide(lua_State* L) {
  const bool number = !test_tensor(L, 1);
  lua_pushvalue(L, lua_upvalueindex(number ? 3 : 1));
  if (number) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
  } else {
    lua_insert(L, 1);
  }
  lua_call(L, 2, 1);
  return 1;
}

// ~x. Upvalue: bitwise_not.
int invert(lua_State* L) {
  if (!at::isIntegralType(check_tensor(L, 1).scalar_type(), /*includeBool=*/true))
    throw Error(ErrorKind::dtype, "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void set_operator(lua_State* L, const char* metamethod, const char* op, Form form) {
  push_operator(L, op, form);
  lua_setfield(L, -2, metamethod);
}

}  // namespace

void set_tensor_metamethods(lua_State* L) {
  static constexpr Row kMetamethods[] = {{"__newindex", guarded_repeatable<tensor_newindex>, nullptr},
                                         {"__tostring", guarded<tensor_tostring>, nullptr},
                                         {"__eq", guarded<tensor_equal>, nullptr},
                                         {"__len", guarded<tensor_len>, nullptr},
                                         {"__lt", guarded<no_order>, nullptr},
                                         {"__le", guarded<no_order>, nullptr},
                                         {"__pairs", guarded<no_pairs>, nullptr},
                                         {nullptr, nullptr, nullptr}};
  set_functions(L, kMetamethods);
  struct Metamethod {
    const char *name, *op;
    Form form = Form::function;
  };
  for (const auto& [name, op, form] : {Metamethod{"__add", "add", Form::commutative},
                                       {"__sub", "sub"},
                                       {"__mul", "mul", Form::commutative},
                                       {"__idiv", "floor_divide"},
                                       {"__mod", "remainder"},
                                       {"__pow", "pow"},
                                       {"__unm", "neg", Form::unary},
                                       {"__band", "bitwise_and"},
                                       {"__bor", "bitwise_or"},
                                       {"__bxor", "bitwise_xor"},
                                       {"__shl", "bitwise_left_shift"},
                                       {"__shr", "bitwise_right_shift"}})
    set_operator(L, name, op, form);
  push_operator(L, "bitwise_not", Form::unary);
  lua_pushcclosure(L, guarded<invert>, 1);
  lua_setfield(L, -2, "__bnot");
  push_operator(L, "div", Form::function);
  push_operator(L, "reciprocal", Form::method);
  push_operator(L, "mul", Form::commutative);
  lua_pushcclosure(L, guarded<divide>, 3);
  lua_setfield(L, -2, "__div");
}

void push_tensor_index(lua_State* L) { lua_pushcclosure(L, guarded_repeatable<tensor_index>, 2); }

}  // namespace trainhost::bindings
