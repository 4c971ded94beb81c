// Lists of integers and of named tensors.
#include "bindings/list.h"

#include "bindings/keywords.h"
#include "bindings/size.h"
#include "bindings/tensor.h"

namespace trainhost::bindings {

std::vector<int64_t> check_indices(lua_State* L, int index, const char* function, const char* name) {
  std::vector<int64_t> indices;
  if (const at::Tensor* tensor = test_tensor(L, index)) {
    if (tensor->dim() != 1 || !at::isIntegralType(tensor->scalar_type(), /*includeBool=*/false))
      throw_argument(L, function, name, "a list of integers or a 1-dimensional integer Tensor", index);
    const at::Tensor flat = tensor->to(at::kCPU, at::kLong).contiguous();
    const auto* first = flat.const_data_ptr<int64_t>();
    indices.assign(first, first + flat.numel());
    return indices;
  }
  if (!lua_istable(L, index))
    throw_argument(L, function, name, "a list of integers or a 1-dimensional integer Tensor", index);
  unwrap_size(L, index);
  const auto size = static_cast<lua_Integer>(lua_rawlen(L, index));
  indices.reserve(static_cast<size_t>(size));
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, index, i);
    int exact = 0;
    const lua_Integer value = lua_tointegerx(L, -1, &exact);
    if (!exact || lua_type(L, -1) != LUA_TNUMBER)
      throw_argument(L, function, (std::string(name) + "[" + std::to_string(i) + "]").c_str(), "an integer",
                     lua_gettop(L));
    indices.push_back(value);
    lua_pop(L, 1);
  }
  return indices;
}

void push_integers(lua_State* L, const std::vector<int64_t>& integers) {
  lua_createtable(L, static_cast<int>(integers.size()), 0);
  for (size_t i = 0; i < integers.size(); ++i) {
    lua_pushinteger(L, integers[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

std::vector<std::pair<std::string, at::Tensor>> check_pairs(lua_State* L, int index, const char* function) {
  std::vector<std::pair<std::string, at::Tensor>> pairs;
  if (!lua_istable(L, index)) throw_argument(L, function, "tensors", "a list of {name, Tensor}", index);
  const auto size = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= size; ++i) {
    if (lua_rawgeti(L, index, i) != LUA_TTABLE)
      throw_argument(L, function, "tensors", "a list of {name, Tensor}", lua_gettop(L));
    lua_rawgeti(L, -1, 1);
    std::string name(check_string(L, lua_gettop(L), function, "name"));
    lua_rawgeti(L, -2, 2);
    const at::Tensor* tensor = test_tensor(L, -1);
    if (!tensor) throw_argument(L, function, ("'" + name + "'").c_str(), "a Tensor", lua_gettop(L));
    pairs.emplace_back(std::move(name), *tensor);
    lua_pop(L, 3);
  }
  return pairs;
}

}  // namespace trainhost::bindings
