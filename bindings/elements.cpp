// A tensor's elements as Lua values: item and tolist.
#include <c10/core/DispatchKeySet.h>

#include <complex>

#include "bindings/complex.h"
#include "bindings/nested.h"
#include "bindings/tensor_type.h"
#include "bindings/value.h"

namespace trainhost::bindings {
namespace {

// Addresses that stand for entries of Lua's registry: the function that makes a list of its arguments.
const char kPack = 0;
// How many elements are quicker packed than set one by one. Behind the upper limit the stack would grow by megabytes.
constexpr int64_t kPackFrom = 8, kPackTo = 1 << 17;

template <class T>
void push_element(lua_State* L, const T& element) {
  if constexpr (std::is_same_v<T, bool>) lua_pushboolean(L, element);
  else if constexpr (std::is_same_v<T, c10::complex<double>>)
    push_complex(L, static_cast<std::complex<double>>(element));
  else if constexpr (std::is_integral_v<T>) lua_pushinteger(L, static_cast<lua_Integer>(element));
  else lua_pushnumber(L, static_cast<double>(element));
}

// Lua's own `{...}` fills a table in half of the time that lua_rawseti takes.
void push_pack(lua_State* L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kPack) == LUA_TFUNCTION) return;
  lua_pop(L, 1);
  if (luaL_loadbufferx(L, "return {...}", 12, "=tolist", "t") != LUA_OK) lua_error(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kPack);
}

template <class T>
void push_row(lua_State* L, const T* data, int64_t size, int64_t stride) {
  // The arguments, and as many again inside the function.
  if (size >= kPackFrom && size <= kPackTo && lua_checkstack(L, static_cast<int>(2 * size) + LUA_MINSTACK)) {
    push_pack(L);
    for (int64_t i = 0; i < size; ++i) push_element(L, data[i * stride]);
    lua_call(L, static_cast<int>(size), 1);
    return;
  }
  lua_createtable(L, static_cast<int>(size), 0);
  for (int64_t i = 0; i < size; ++i) {
    push_element(L, data[i * stride]);
    lua_rawseti(L, -2, i + 1);
  }
}

template <class T>
void push_rows(lua_State* L, const at::Tensor& tensor, const T* data, int64_t dim) {
  luaL_checkstack(L, 4, "nested table");
  const int64_t size = tensor.size(dim), stride = tensor.stride(dim);
  if (dim + 1 == tensor.dim()) return push_row(L, data, size, stride);
  lua_createtable(L, static_cast<int>(size), 0);
  for (int64_t i = 0; i < size; ++i) {
    push_rows(L, tensor, data + i * stride, dim + 1);
    lua_rawseti(L, -2, i + 1);
  }
}

template <class T>
void push_elements(lua_State* L, const at::Tensor& tensor) {
  const T* data = tensor.const_data_ptr<T>();
  if (tensor.dim() == 0) push_element(L, *data);
  else push_rows(L, tensor, data, 0);
}

// What item() says of an integer that Lua's cannot hold.
void check_integers(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kUInt64 || tensor.numel() == 0) return;
  const at::Tensor bits = tensor.detach().contiguous().view(at::kLong);
  if (bits.min().item<int64_t>() < 0)
    throw Error(ErrorKind::dtype, "value cannot be converted to type int64_t without overflow");
}

// Nothing but numbers in the memory of this machine: no other layout, no conjugate, no tensor of vmap or grad.
bool is_plain(const at::Tensor& tensor) {
  using c10::DispatchKey;
  constexpr c10::DispatchKeySet kPlain(
      {DispatchKey::CPU, DispatchKey::AutogradCPU, DispatchKey::ADInplaceOrView, DispatchKey::AutocastCPU});
  return (tensor.key_set().raw_repr() & ~kPlain.raw_repr()) == 0 && tensor.has_storage();
}

// Without history, on the CPU, in one of the types that Lua has.
at::Tensor readable(const at::Tensor& tensor) {
  at::Tensor plain = tensor.detach();
  if (plain.layout() != at::kStrided) plain = plain.to_dense();
  const auto type = plain.scalar_type();
  const auto wide = plain.is_complex()         ? at::kComplexDouble
                    : at::isFloatingType(type) ? at::kDouble
                    : type == at::kBool        ? at::kBool
                                               : at::kLong;
  return plain.to(wide).resolve_conj().resolve_neg().cpu();
}

// False for a type that has to become another first.
bool push_elements_of(lua_State* L, const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kDouble:
      return push_elements<double>(L, tensor), true;
    case at::kFloat:
      return push_elements<float>(L, tensor), true;
    case at::kHalf:
      return push_elements<at::Half>(L, tensor), true;
    case at::kBFloat16:
      return push_elements<at::BFloat16>(L, tensor), true;
    case at::kLong:
      return push_elements<int64_t>(L, tensor), true;
    case at::kInt:
      return push_elements<int32_t>(L, tensor), true;
    case at::kByte:
      return push_elements<uint8_t>(L, tensor), true;
    case at::kBool:
      return push_elements<bool>(L, tensor), true;
    case at::kComplexDouble:
      return push_elements<c10::complex<double>>(L, tensor), true;
    default:
      return false;
  }
}

int tensor_tolist(lua_State* L) {
  const at::Tensor tensor = shaped_tensor(L, "tolist");  // held: the collector may run what frees the script's
  if (is_plain(tensor) && push_elements_of(L, tensor)) return 1;
  check_integers(tensor);
  push_elements_of(L, readable(tensor));
  return 1;
}

int tensor_item(lua_State* L) {
  const at::Tensor& tensor = shaped_tensor(L, "item");
  const bool in_vmap = tensor.unsafeGetTensorImpl()->key_set().has(c10::DispatchKey::FuncTorchBatched);
  if (tensor.numel() != 1 && !in_vmap)  // vmap has an error of its own
    throw Error(
        ErrorKind::shape,
        "Tensor.item: a Tensor with " + std::to_string(tensor.numel()) + " elements cannot be converted to Scalar",
        "item() reads a tensor of one element");
  push_scalar(L, tensor.item());
  return 1;
}

}  // namespace

void set_nested_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"item", guarded<tensor_item>,
       "The one element as a Lua value.\n@return number|boolean|complex\n@example torch.tensor{2.5}:item()  --> 2.5"},
      {"tolist", guarded<tensor_tolist>,
       "The elements as nested 1-based tables; a number for a 0-dim tensor.\n@return "
       "table|number|boolean|complex\n@example torch.tensor{{1, 2}, {3, 4}}:tolist()  --> {{1, 2}, {3, 4}}"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
