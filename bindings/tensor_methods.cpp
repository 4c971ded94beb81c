// Methods of Tensor that are no operators, and iteration.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/set.h>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/tensor.h"
#include "bindings/tensor_type.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::bindings {
namespace {

int tensor_size(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  const Keywords keywords(L, "Tensor.size", 2, {"dim"});
  const int dim = keywords.find("dim");
  if (!dim) return push_sizes(L, tensor.sizes()), 1;
  lua_pushinteger(L, tensor.size(check_integer(L, dim, "Tensor.size", "dim")));
  return 1;
}

int tensor_stride(lua_State* L) {
  const at::Tensor& tensor = shaped_tensor(L, "stride");
  const Keywords keywords(L, "Tensor.stride", 2, {"dim"});
  const int dim = keywords.find("dim");
  if (!dim) return push_integers(L, tensor.strides().vec()), 1;
  lua_pushinteger(L, tensor.stride(check_integer(L, dim, "Tensor.stride", "dim")));
  return 1;
}

int tensor_dim(lua_State* L) { return lua_pushinteger(L, shaped_tensor(L, "dim").dim()), 1; }
int tensor_numel(lua_State* L) { return lua_pushinteger(L, shaped_tensor(L, "numel").numel()), 1; }
int tensor_element_size(lua_State* L) { return lua_pushinteger(L, shaped_tensor(L, "element_size").itemsize()), 1; }
int tensor_storage_offset(lua_State* L) {
  return lua_pushinteger(L, shaped_tensor(L, "storage_offset").storage_offset()), 1;
}
int tensor_data_ptr(lua_State* L) {
  return lua_pushinteger(L, reinterpret_cast<lua_Integer>(shaped_tensor(L, "data_ptr").data_ptr())), 1;
}
int tensor_const_data_ptr(lua_State* L) {
  return lua_pushinteger(L, reinterpret_cast<lua_Integer>(shaped_tensor(L, "const_data_ptr").const_data_ptr())), 1;
}
// The whole storage behind a tensor, as a uint8 tensor of the same memory.
int tensor_storage_bytes(lua_State* L) {
  const at::Tensor& tensor = shaped_tensor(L, "untyped_storage");
  const c10::Storage& storage = tensor.storage();
  const at::NoGradGuard no_grad;
  at::Tensor bytes = at::empty({0}, tensor.options().dtype(at::kByte).requires_grad(false));
  bytes.set_(storage, 0, {static_cast<int64_t>(storage.nbytes())}, {1});
  return push_view(L, std::move(bytes)), 1;
}

int tensor_is_view(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_view()), 1; }

int iterate(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, lua_upvalueindex(1));
  const lua_Integer next = lua_tointeger(L, lua_upvalueindex(2));
  if (next >= tensor.size(0)) return 0;
  lua_pushinteger(L, next + 1);
  lua_replace(L, lua_upvalueindex(2));
  push_view(L, tensor.select(0, next));
  return 1;
}

int tensor_iter(lua_State* L) {
  if (shaped_tensor(L, "__iter__").dim() == 0) throw Error(ErrorKind::shape, "iteration over a 0-d tensor");
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, guarded<iterate>, 2);
  return 1;
}

constexpr Row kMethods[] = {
    {"size", guarded<tensor_size>,
     "The size of one dimension, or all of them.\n@param dim? integer\n@return integer|integer[]"
     "\n@example torch.ones(2, 3):size(-1)  --> 3"},
    {"stride", guarded<tensor_stride>,
     "The stride of one dimension, or all, in elements.\n@param dim? integer\n@return integer|integer[]\n@example "
     "torch.ones(2, 3):stride()  --> {3, 1}"},
    {"dim", guarded<tensor_dim>, "How many dimensions.\n@return integer\n@example torch.ones(2, 3):dim()  --> 2"},
    {"ndimension", guarded<tensor_dim>, "How many dimensions.\n@return integer"},
    {"numel", guarded<tensor_numel>, "How many elements.\n@return integer"},
    {"nelement", guarded<tensor_numel>,
     "How many elements.\n@return integer"
     "\n@example torch.ones(2, 3):nelement()  --> 6"},
    {"element_size", guarded<tensor_element_size>,
     "Bytes of one element.\n@return integer\n@example torch.ones(2):element_size()  --> 4"},
    {"storage_offset", guarded<tensor_storage_offset>,
     "Offset in its storage, in elements.\n@return integer"
     "\n@example torch.ones(2, 3)[1]:storage_offset()  --> 3"},
    {"_storage_bytes", guarded<tensor_storage_bytes>,
     "The whole storage behind it as a uint8 tensor of the same memory.\n@return Tensor"},
    {"data_ptr", guarded<tensor_data_ptr>,
     "Address of the first element.\n@return integer"
     "\n@example local x = torch.ones(2)\nx[1]:data_ptr() - x:data_ptr()  --> 4"},
    {"const_data_ptr", guarded<tensor_const_data_ptr>,
     "Address of the first element, for reading alone.\n@return integer"
     "\n@example local x = torch.ones(2)\nx:const_data_ptr() == x:data_ptr()  --> true"},
    {"_is_view", guarded<tensor_is_view>, "Does autograd see it as a view of another tensor?\n@return boolean"},
    {"iter", guarded<tensor_iter>,
     "Iterates over the first dimension: for row in x:iter() do.\n@return fun(): Tensor"
     "\n@example local sum = 0\nfor row in torch.tensor{{1, 2}, {3, 4}}:iter() do sum = sum + row[0]:item() end\nsum  "
     "--> 4"},
    {"free", guarded<tensor_close>,
     "Lets go of the tensor now instead of at the next collection.\n@example local x = "
     "torch.ones(2)\nx:free()\npcall(x.sum, x) == false  --> true"},
    {nullptr, nullptr, nullptr}};

}  // namespace

const at::Tensor& shaped_tensor(lua_State* L, const char* method) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (tensor::is_uninitialized(tensor))
    tensor::throw_uninitialized(std::string("<method '") + method + "' of 'torch._C.TensorBase' objects>",
                                is_parameter(L, 1));
  return tensor;
}

void set_tensor_methods(lua_State* L) { set_functions(L, kMethods); }

}  // namespace trainhost::bindings
