// Lua keys as index items: tables, strings (parsed once), and the values of slice.h.
#include "bindings/indexing.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <new>
#include <utility>

#include "bindings/complex.h"
#include "bindings/guard.h"
#include "bindings/nested.h"
#include "bindings/size.h"
#include "bindings/slice.h"
#include "bindings/tensor.h"
#include "bindings/tensor_type.h"
#include "host/tensor/indexing.h"

namespace trainhost::bindings {
namespace {

using tensor::Index;
using tensor::Indices;

// Addresses that stand for entries of Lua's registry.
constexpr char kParsed = 0, kParsedParts = 0, kParsedMeta = 0;
constexpr int kMostParsed = 4096;  // then the cache starts anew: a script may build its expressions

[[noreturn]] void bad_item(lua_State* L, int index) {
  throw_usage(
      "tensor index: expected an integer, a boolean, a tensor, torch.None, torch.slice(...), an expression such as "
      "\"1:3, ...\" or a table of these, got " +
          describe(L, index),
      lua_isnil(L, index) ? "None is written torch.None" : "");
}

// {0, 2} or {true, false} inside a key: an index tensor or a mask. An empty one is an index of no elements.
at::Tensor list_index(lua_State* L, int index) {
  const at::Tensor values = nested_to_tensor(L, lua_absindex(L, index), std::nullopt, "list index");
  if (!values.is_floating_point()) return values;
  const at::Tensor whole = values.to(at::kLong);
  if (!whole.to(at::kDouble).equal(values.to(at::kDouble)))
    throw_usage("list index: expected integers or booleans, got a float that is no integer");
  return whole;
}

at::Tensor table_value(lua_State* L, int index, const at::Tensor& target) {
  const at::Tensor value = nested_to_tensor(L, index, std::nullopt, "assigned value");
  return value.to(target.options().device(at::kCPU).requires_grad(false));
}

int free_parsed(lua_State* L) {  // an empty one needs no destructor
  if (has_metatable(L, 1, &kParsedMeta)) *static_cast<Indices*>(lua_touserdata(L, 1)) = Indices();
  return 0;
}

const Row kParsedRows[] = {{"__gc", guarded<free_parsed>, ""}, {nullptr, nullptr, nullptr}};

// The items of the expression at `index`, alone or a part of a key; the cache's userdata stays on the stack and keeps
// them alive.
const Indices& parsed(lua_State* L, int index, bool part = false) {
  const char* const cache = part ? &kParsedParts : &kParsed;
  index = lua_absindex(L, index);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, cache) == LUA_TTABLE) {
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TUSERDATA) return *static_cast<Indices*>(lua_touserdata(L, -1));
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, cache);
  }
  size_t length = 0;
  const char* text = lua_tolstring(L, index, &length);
  Indices items = tensor::parse_indices({text, length}, part);
  lua_rawgeti(L, -1, 0);
  const lua_Integer count = lua_tointeger(L, -1) + 1;
  lua_pop(L, 1);
  if (count > kMostParsed) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, cache);
  }
  lua_pushinteger(L, count > kMostParsed ? 1 : count);
  lua_rawseti(L, -2, 0);
  auto* kept = new (lua_newuserdatauv(L, sizeof(Indices), 0)) Indices();
  push_metatable(L, &kParsedMeta, "index expression", kParsedRows);
  lua_setmetatable(L, -2);
  *kept = std::move(items);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -2);
  lua_rawset(L, -4);
  return *kept;
}

// One value of a key as an item; false where it is a string (several items) or no item.
bool simple_item(lua_State* L, int index, Index& item) {
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      if (const auto value = integer_at(L, index)) {
        item = *value;
        return true;
      }
      return false;
    case LUA_TBOOLEAN:
      item = static_cast<bool>(lua_toboolean(L, index));
      return true;
    case LUA_TUSERDATA:
      if (const auto* value = test_slice(L, index)) {
        item = *value;
      } else if (is_none(L, index)) {
        item = tensor::NewAxis{};
      } else if (!test_tensor(L, index)) {
        return false;
      } else {
        item = check_tensor(L, index);
      }
      return true;
    default:
      return false;
  }
}

Indices tuple(lua_State* L, int index) {
  unwrap_size(L, index);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const auto key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key < 1 || key > count)
      throw_usage("tensor index: a table is a tuple of items, got the key " + describe(L, -2) + " in it",
                  "a place without a value is written torch.None or \":\"");
  }
  Indices items;
  items.reserve(static_cast<size_t>(count));
  luaL_checkstack(L, 8, "tensor index");
  for (lua_Integer i = 1; i <= count; ++i) {
    const int top = lua_gettop(L);
    lua_rawgeti(L, index, i);
    Index item;
    if (lua_type(L, -1) == LUA_TTABLE) {
      items.emplace_back(list_index(L, -1));
    } else if (lua_type(L, -1) == LUA_TSTRING) {
      for (const auto& part : parsed(L, -1, /*part=*/true)) items.push_back(part);
    } else if (simple_item(L, -1, item)) {
      items.push_back(std::move(item));
    } else {
      bad_item(L, -1);
    }
    lua_settop(L, top);
  }
  return items;
}

// Raises what went wrong with the index expression at stack 2 again, with its text and the place in it.
[[noreturn]] void name_expression(lua_State* L, const Caught& fault) {
  if (fault.kind == ErrorKind::memory) throw Error(fault.kind, fault.message, fault.hint, fault.type);
  const std::string text = lua_tostring(L, 2);
  const size_t column = tensor::failing_column(check_tensor(L, 1), text);
  throw Error(fault.kind,
              "tensor index \"" + text + "\": " + fault.message +
                  (column > 0 ? " at column " + std::to_string(column) : std::string()),
              fault.hint, fault.type);
}

// Calls `use` with the items of the key at stack 2.
template <class Use>
auto with_items(lua_State* L, Use use) {
  switch (lua_type(L, 2)) {
    case LUA_TSTRING: {
      const Indices& items = parsed(L, 2);
      try {
        return use(items);
      } catch (const std::exception& e) {
        name_expression(L, caught(e));
      }
    }
    case LUA_TTABLE:
      return use(tuple(L, 2));
    default: {
      Indices items(1);
      if (!simple_item(L, 2, items[0])) bad_item(L, 2);
      return use(items);
    }
  }
}

}  // namespace

int index_get(lua_State* L) {
  const at::Tensor self = shaped_tensor(L, "__getitem__");
  if (const auto integer = integer_at(L, 2)) {
    push_tensor(L, tensor::get(self, *integer));
    return 1;
  }
  push_tensor(L, with_items(L, [&](const Indices& items) { return tensor::get(self, items); }));
  return 1;
}

int index_set(lua_State* L) {
  const at::Tensor self = shaped_tensor(L, "__setitem__");
  at::Scalar scalar;
  at::Tensor value;
  switch (lua_type(L, 3)) {
    case LUA_TNUMBER:
      scalar =
          lua_isinteger(L, 3) ? at::Scalar(static_cast<int64_t>(lua_tointeger(L, 3))) : at::Scalar(lua_tonumber(L, 3));
      break;
    case LUA_TBOOLEAN:
      scalar = at::Scalar(static_cast<int64_t>(lua_toboolean(L, 3)));
      break;
    case LUA_TTABLE:
      value = table_value(L, 3, self);
      break;
    default:
      if (const auto* given = test_tensor(L, 3)) value = *given;
      else if (const auto* number = test<Complex>(L, 3)) scalar = c10::complex<double>(number->value);
      else
        throw_usage("tensor assignment: expected a number, a boolean, a tensor or a nested table, got " +
                    describe(L, 3));
  }
  with_items(L, [&](const Indices& items) {
    if (value.defined()) tensor::set(self, items, value);
    else tensor::set(self, items, scalar);
  });
  return 0;
}

}  // namespace trainhost::bindings
