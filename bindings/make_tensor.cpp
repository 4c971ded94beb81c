// torch.tensor and torch.as_tensor.
#include "bindings/complex.h"
#include "bindings/dtype.h"
#include "bindings/keywords.h"
#include "bindings/nested.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {
namespace {

std::optional<at::ScalarType> optional_dtype(lua_State* L, const Keywords& keywords) {
  const int index = keywords.find("dtype");
  return index ? std::optional(check_dtype(L, index)) : std::nullopt;
}

// torch.tensor(data, {dtype =, device =, requires_grad =}); the first argument is data always. torch.tensor{1, 2, dtype
// = } mixes, as the sole argument may.
int make_tensor(lua_State* L) {
  if (lua_isnone(L, 1)) throw_usage("torch.tensor: missing argument 'data' (a number, boolean or nested table)");
  int keywords_from = 2;
  if (lua_gettop(L) == 1 && lua_istable(L, 1)) {
    lua_newtable(L);
    bool any = false;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
      if (lua_type(L, -2) == LUA_TSTRING) {
        any = true;
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
      } else {
        lua_pop(L, 1);
      }
    }
    if (!any) lua_settop(L, 1);
  }
  Keywords keywords(L, "torch.tensor", keywords_from, {"dtype", "device", "requires_grad", "pin_memory"});
  at::Tensor tensor = nested_to_tensor(L, 1, optional_dtype(L, keywords));
  if (int i = keywords.find("device")) tensor = tensor.to(check_device(L, i));
  else if (const at::Device* device = default_device(L); device && !test_tensor(L, 1)) tensor = tensor.to(*device);
  if (int i = keywords.find("pin_memory"))
    if (check_boolean(L, i, "torch.tensor", "pin_memory")) {
      tensor::load_cuda_if_usable();
      tensor = tensor.pin_memory();
    }
  if (int i = keywords.find("requires_grad"))
    tensor.set_requires_grad(check_boolean(L, i, "torch.tensor", "requires_grad"));
  push_tensor(L, std::move(tensor));
  return 1;
}

// A tensor stays as it is (converted if dtype or device differ), anything else is as torch.tensor.
int as_tensor(lua_State* L) {
  Keywords keywords(L, "torch.as_tensor", 2, {"dtype", "device"});
  const at::Tensor* given = test_tensor(L, 1);
  at::Tensor tensor = given ? *given : nested_to_tensor(L, 1, optional_dtype(L, keywords));
  if (const auto dtype = optional_dtype(L, keywords)) tensor = tensor.to(*dtype);
  if (int i = keywords.find("device")) tensor = tensor.to(check_device(L, i));
  else if (const at::Device* device = default_device(L); device && !given) tensor = tensor.to(*device);
  if (given && tensor.is_same(*given)) lua_pushvalue(L, 1);
  else push_tensor(L, std::move(tensor));
  return 1;
}

}  // namespace

void set_making_functions(lua_State* L) {
  static constexpr Row kRows[] = {
      {"tensor", guarded_repeatable<make_tensor>,
       "A new tensor with a copy of the data.\n@param data number|boolean|complex|table|Tensor\n@param dtype? dtype "
       "from the data: int64, the default dtype, its complex one, or bool\n@param device? device the default "
       "one\n@param requires_grad? boolean false\n@return Tensor\n@example torch.tensor({{1, 2}, {3, 4}}, {dtype = "
       "torch.float32}):sum()  --> tensor(10.)"},
      {"as_tensor", guarded_repeatable<as_tensor>,
       "The tensor itself, or a new one from data.\n@param data any\n@param dtype? dtype\n@param device? "
       "device\n@return Tensor\n@example torch.as_tensor({1, 2})  --> tensor([1, 2])"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
