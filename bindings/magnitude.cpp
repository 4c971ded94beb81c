// native.magnitude: how large tensors and gradients are, read on the host.
#include "host/model/magnitude.h"

#include "host/model/count.h"

#include "bindings/model.h"
#include "bindings/tensor.h"

namespace trainhost::bindings {
namespace {

// The tensor at `index`, null where there is something else.
const at::Tensor* tensor_at(lua_State* L, int index) {
  return test<at::Tensor>(L, index) ? &check_tensor(L, index) : nullptr;
}

int dimensions(lua_State* L) {
  const at::Tensor* tensor = tensor_at(L, 1);
  if (!tensor) return 0;
  lua_pushinteger(L, tensor->dim());
  return 1;
}

int rows(lua_State* L) {
  const at::Tensor* tensor = tensor_at(L, 1);
  if (!tensor) return 0;
  lua_pushinteger(L, tensor->dim() == 0 ? 1 : tensor->size(0));
  return 1;
}

int count_equal(lua_State* L) {
  const at::Tensor* tensor = tensor_at(L, 1);
  const auto count = tensor ? model::count_equal(*tensor, luaL_checkinteger(L, 2)) : std::nullopt;
  if (!count) return 0;
  lua_pushinteger(L, *count);
  lua_pushinteger(L, tensor->numel());
  return 2;
}

int number_on_host(lua_State* L) {
  const auto number = model::number_on_host(check_tensor(L, 1));
  if (!number) return 0;
  lua_pushnumber(L, *number);
  return 1;
}

// Lua's own arithmetic: whole numbers stay whole.
int add_on_host(lua_State* L) {
  lua_settop(L, 4);
  if (lua_type(L, 2) != LUA_TNUMBER || lua_type(L, 4) != LUA_TNUMBER || lua_tonumber(L, 4) == 0) return 0;
  if (lua_isnil(L, 1)) lua_pushnumber(L, 0);
  else if (lua_type(L, 1) == LUA_TNUMBER) lua_pushvalue(L, 1);
  else return 0;
  if (const at::Tensor* tensor = tensor_at(L, 3)) {
    const auto number = model::number_on_host(*tensor);
    if (!number) return 0;
    lua_pushnumber(L, *number);
  } else if (lua_type(L, 3) == LUA_TNUMBER) {
    lua_pushvalue(L, 3);
  } else {
    return 0;
  }
  lua_pushvalue(L, 4);
  lua_arith(L, LUA_OPMUL);
  lua_arith(L, LUA_OPADD);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 4);
  lua_arith(L, LUA_OPADD);
  return 2;
}

// The tensors of a list, or their gradients.
std::vector<at::Tensor> looked_at(lua_State* L, const char* function) {
  std::vector<at::Tensor> tensors = check_tensors(L, 1, function, "tensors");
  if (lua_toboolean(L, 2))
    for (at::Tensor& tensor : tensors) tensor = at::Tensor(tensor.grad());
  return tensors;
}

void push_numbers(lua_State* L, const std::vector<std::optional<double>>& numbers) {
  lua_createtable(L, static_cast<int>(numbers.size()), 0);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i]) lua_pushnumber(L, *numbers[i]);
    else lua_pushboolean(L, 0);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

int norms(lua_State* L) {
  push_numbers(L, model::norms(looked_at(L, "norms")));
  return 1;
}

int distances(lua_State* L) {
  const std::vector<at::Tensor> tensors = check_tensors(L, 1, "distances", "tensors"),
                                others = check_tensors(L, 2, "distances", "others");
  if (tensors.size() != others.size()) throw_argument(L, "distances", "others", "as many tensors", 2);
  push_numbers(L, model::distances(tensors, others));
  return 1;
}

int first_not_finite(lua_State* L) {
  const lua_Integer begin = luaL_optinteger(L, 3, 1);
  if (begin < 1) throw_argument(L, "first_not_finite", "begin", "an index from 1", 3);
  const auto found = model::first_not_finite(looked_at(L, "first_not_finite"), static_cast<size_t>(begin - 1));
  if (!found) return 0;
  lua_pushinteger(L, static_cast<lua_Integer>(*found) + 1);
  return 1;
}

constexpr Row kFunctions[] = {
    {"count_equal", guarded<count_equal>,
     "---How many values of a dense int64 tensor on the CPU are a number.\n---@param tensor any\n---@param value "
     "integer\n---@return integer? nil for what is none\n---@return integer? all values there are"},
    {"number_on_host", guarded<number_on_host>,
     "---The number in a dense float32 or float64 tensor of one element on the CPU.\n---@param tensor "
     "Tensor\n---@return number? nil for tensors of another kind"},
    {"add_on_host", guarded<add_on_host>,
     "---A weighted sum and one value more, where all are numbers on the host, the value maybe in a tensor as "
     "number_on_host reads it.\n---@param sum number? nil is 0.0\n---@param weights number\n---@param value any\n"
     "---@param weight any not 0\n---@return number? sum + value * weight; nil where something is on a device or none\n"
     "---@return number? weights + weight"},
    {"dimensions", guarded<dimensions>,
     "---How many dimensions a tensor has.\n---@param value any\n---@return integer? nil for what is none"},
    {"rows", guarded<rows>,
     "---The size of a tensor's first dimension, 1 without any.\n---@param value any\n---@return integer? nil for what "
     "is "
     "none"},
    {"norms", guarded<norms>,
     "---The 2-norm of each tensor, waiting for the device.\n---@param tensors Tensor[]\n---@param of_gradients "
     "boolean? "
     "of their gradients instead\n---@return (number|false)[] false where there is no gradient"},
    {"distances", guarded<distances>,
     "---The 2-norm of each tensor less its partner, waiting for the device.\n---@param tensors Tensor[]\n---@param "
     "others Tensor[]\n---@return number[]"},
    {"first_not_finite", guarded<first_not_finite>,
     "---The first tensor with a value that is NaN or infinite.\n---@param tensors Tensor[]\n---@param of_gradients "
     "boolean? of their gradients instead\n---@param begin integer? where to begin, 1\n---@return integer? index from "
     "1, nil where all are finite"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_magnitude(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
