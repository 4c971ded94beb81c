// torch.tensor, tolist, item: values cross here.
#include "bindings/nested.h"

#include <ATen/ops/empty.h>
#include <c10/core/DefaultDtype.h>

#include <cstring>

#include "bindings/dtype.h"
#include "bindings/keywords.h"
#include "bindings/value.h"

namespace trainhost::bindings {
namespace {

constexpr int kMostDims = 64;

// What the numbers of a nested table are, in the order of type promotion.
enum class Found { nothing, boolean, integer, real };

struct Reader {
  lua_State* L;
  std::vector<int64_t> sizes{};
  std::vector<double> reals{};
  std::vector<int64_t> integers{};
  std::vector<at::Tensor> tensors{};  // torch.tensor{x:sum(), y:sum()}: 0-dim tensors are read as numbers
  Found found = Found::nothing;

  void measure(int index) {
    while (lua_istable(L, index)) {
      const int64_t size = static_cast<int64_t>(lua_rawlen(L, index));
      sizes.push_back(size);
      if (sizes.size() > kMostDims)
        throw Error(ErrorKind::shape, "torch.tensor: more than 64 dimensions (a table inside itself?)");
      if (size == 0) return;
      luaL_checkstack(L, 8, "nested table");
      lua_rawgeti(L, index, 1);
      index = lua_gettop(L);
    }
  }

  void read(int index, size_t dim) {
    if (dim == sizes.size()) {
      read_number(index);
      return;
    }
    if (!lua_istable(L, index))
      throw Error(ErrorKind::shape, "torch.tensor: expected a list of length " + std::to_string(sizes[dim]) +
                                        " at dim " + std::to_string(dim) + ", got " + describe(L, index));
    const int64_t size = static_cast<int64_t>(lua_rawlen(L, index));
    if (size != sizes[dim])
      throw Error(ErrorKind::shape, "torch.tensor: expected a list of length " + std::to_string(sizes[dim]) +
                                        " at dim " + std::to_string(dim) + ", got one of length " +
                                        std::to_string(size));
    luaL_checkstack(L, 8, "nested table");
    for (int64_t i = 1; i <= size; ++i) {
      lua_rawgeti(L, index, i);
      read(lua_gettop(L), dim + 1);
      lua_pop(L, 1);
    }
  }

  void note(Found kind) {
    if (kind > found) found = kind;
  }

  void read_number(int index) {
    switch (lua_type(L, index)) {
      case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
          note(Found::integer);
          integers.push_back(lua_tointeger(L, index));
          reals.push_back(static_cast<double>(integers.back()));
        } else {
          note(Found::real);
          reals.push_back(lua_tonumber(L, index));
          integers.push_back(0);
        }
        return;
      case LUA_TBOOLEAN:
        note(Found::boolean);
        integers.push_back(lua_toboolean(L, index));
        reals.push_back(lua_toboolean(L, index));
        return;
      default: {
        const at::Tensor* tensor = test_tensor(L, index);
        if (tensor && tensor->dim() == 0 && !tensor->is_complex()) {
          const at::Scalar value = tensor->item();
          note(value.isFloatingPoint() ? Found::real : value.isBoolean() ? Found::boolean : Found::integer);
          reals.push_back(value.toDouble());
          integers.push_back(value.isFloatingPoint() ? 0 : value.toLong());
          return;
        }
        throw_usage("torch.tensor: expected numbers, booleans or nested tables of them, got " + describe(L, index));
      }
    }
  }
};

// As torch.tensor: a number beyond an integer dtype is an error, but negative integers wrap in unsigned ones.
template <class T>
void check_range(const std::vector<T>& numbers, at::ScalarType type) {
  const int bits = static_cast<int>(8 * c10::elementSize(type)) - (c10::isSignedType(type) ? 1 : 0);
  const double top = std::ldexp(1.0, bits);  // exclusive
  const bool wraps = std::is_integral_v<T> && !c10::isSignedType(type);
  const double least = c10::isSignedType(type) ? -top : wraps ? 1 - top : 0;
  for (const T number : numbers) {
    const auto value = static_cast<double>(number);
    if (bits >= 63 && std::is_integral_v<T>) return;
    if (value >= least && (bits < 53 ? value <= top - 1 : value < top)) continue;
    throw Error(ErrorKind::dtype, "torch.tensor: value " + std::to_string(number) + " cannot be converted to type " +
                                      dtype_name(type) + " without overflow");
  }
}

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
  if (int i = keywords.find("pin_memory"))
    if (check_boolean(L, i, "torch.tensor", "pin_memory")) tensor = tensor.pin_memory();
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
  if (given && tensor.is_same(*given)) lua_pushvalue(L, 1);
  else push_tensor(L, std::move(tensor));
  return 1;
}

template <class T>
void push_element(lua_State* L, const T* element) {
  if constexpr (std::is_same_v<T, bool>) lua_pushboolean(L, *element);
  else if constexpr (std::is_integral_v<T>) lua_pushinteger(L, static_cast<lua_Integer>(*element));
  else lua_pushnumber(L, static_cast<double>(*element));
}

template <class T>
void push_nested(lua_State* L, const at::Tensor& tensor, const T* data, int64_t dim) {
  if (dim == tensor.dim()) {
    push_element(L, data);
    return;
  }
  luaL_checkstack(L, 4, "nested table");
  const int64_t size = tensor.size(dim), stride = tensor.stride(dim);
  lua_createtable(L, static_cast<int>(size), 0);
  for (int64_t i = 0; i < size; ++i) {
    push_nested(L, tensor, data + i * stride, dim + 1);
    lua_rawseti(L, -2, i + 1);
  }
}

// Without history, on the CPU, in one of the types that Lua has.
at::Tensor readable(const at::Tensor& tensor, const char* function) {
  if (tensor.is_complex())
    throw Error(ErrorKind::dtype, std::string(function) + ": a complex tensor has no Lua numbers",
                "read x.real and x.imag");
  at::Tensor plain = tensor.detach();
  if (plain.layout() != at::kStrided) plain = plain.to_dense();
  const auto type = plain.scalar_type();
  const bool narrow = at::isFloatingType(type) ? type != at::kDouble : type != at::kLong && type != at::kBool;
  if (narrow) plain = plain.to(at::isFloatingType(type) ? at::kDouble : at::kLong);
  return plain.resolve_conj().resolve_neg().cpu();
}

int tensor_tolist(lua_State* L) {
  const at::Tensor tensor = readable(check_tensor(L, 1), "Tensor.tolist");
  if (tensor.scalar_type() == at::kBool) push_nested(L, tensor, tensor.const_data_ptr<bool>(), 0);
  else if (tensor.scalar_type() == at::kLong) push_nested(L, tensor, tensor.const_data_ptr<int64_t>(), 0);
  else push_nested(L, tensor, tensor.const_data_ptr<double>(), 0);
  return 1;
}

int tensor_item(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (tensor.numel() != 1)
    throw Error(
        ErrorKind::shape,
        "Tensor.item: a Tensor with " + std::to_string(tensor.numel()) + " elements cannot be converted to a number",
        "item() reads a tensor of one element");
  push_scalar(L, tensor.item());
  return 1;
}

// x:to(dtype), x:to(device), x:to(device, dtype), x:to(other), with non_blocking, copy, memory_format.
int tensor_to(lua_State* L) {
  constexpr const char* kName = "Tensor.to";
  const at::Tensor& self = check_tensor(L, 1);
  auto options = at::TensorOptions();
  int next = 2;
  if (const at::Tensor* other = test_tensor(L, next)) {
    options = options.dtype(other->scalar_type()).device(other->device());
    ++next;
  } else {
    if (lua_type(L, next) == LUA_TSTRING || test<at::Device>(L, next))
      options = options.device(check_device(L, next++));
    if (test<at::ScalarType>(L, next)) options = options.dtype(check_dtype(L, next++));
  }
  const bool given = next > 2;
  Keywords keywords(L, kName, next, {"non_blocking", "copy", "dtype", "device", "memory_format"});
  if (int i = keywords.find("dtype")) options = options.dtype(check_dtype(L, i));
  if (int i = keywords.find("device")) options = options.device(check_device(L, i));
  const bool non_blocking =
      keywords.find("non_blocking") && check_boolean(L, keywords.find("non_blocking"), kName, "non_blocking");
  const bool copy = keywords.find("copy") && check_boolean(L, keywords.find("copy"), kName, "copy");
  std::optional<at::MemoryFormat> format;
  if (int i = keywords.find("memory_format")) format = check<at::MemoryFormat>(L, i).value;
  if (!given && lua_gettop(L) < 2) throw_usage("Tensor.to: expected a dtype, a device, both, or a Tensor");
  at::Tensor result =
      self.to(options.has_dtype() ? std::optional(c10::typeMetaToScalarType(options.dtype())) : std::nullopt,
              options.layout_opt(), options.device_opt(), options.pinned_memory_opt(), non_blocking, copy, format);
  if (result.is_same(self)) lua_pushvalue(L, 1);
  else push_tensor(L, std::move(result));
  return 1;
}

// x:long(), x:cpu() ...: to with one thing fixed.
template <at::ScalarType type>
int tensor_as(lua_State* L) {
  const at::Tensor& self = check_tensor(L, 1);
  if (self.scalar_type() == type) lua_pushvalue(L, 1);
  else push_tensor(L, self.to(type));
  return 1;
}

int tensor_cpu(lua_State* L) {
  const at::Tensor& self = check_tensor(L, 1);
  if (self.is_cpu()) lua_pushvalue(L, 1);
  else push_tensor(L, self.cpu());
  return 1;
}

int tensor_cuda(lua_State* L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) lua_pushliteral(L, "cuda");
  else if (lua_isinteger(L, 2)) lua_pushfstring(L, "cuda:%I", lua_tointeger(L, 2));
  else lua_pushvalue(L, 2);
  const at::Device device = check_device(L, 3);
  push_tensor(L, check_tensor(L, 1).to(device));
  return 1;
}

}  // namespace

at::Tensor nested_to_tensor(lua_State* L, int index, std::optional<at::ScalarType> dtype) {
  if (const at::Tensor* tensor = test_tensor(L, index)) {
    at::Tensor copy = tensor->detach().clone();
    return dtype ? copy.to(*dtype) : copy;
  }
  Reader reader{L};
  const int top = lua_gettop(L);
  reader.measure(index);
  lua_settop(L, top);
  reader.read(index, 0);
  const at::ScalarType natural = reader.found == Found::real || reader.found == Found::nothing
                                     ? c10::get_default_dtype_as_scalartype()
                                 : reader.found == Found::integer ? at::kLong
                                                                  : at::kBool;
  const bool real = natural != at::kLong && natural != at::kBool;
  if (dtype && at::isIntegralType(*dtype, /*includeBool=*/false)) {
    if (real) check_range(reader.reals, *dtype);
    else check_range(reader.integers, *dtype);
  }
  at::Tensor wide = at::empty(reader.sizes, at::TensorOptions().dtype(real ? at::kDouble : at::kLong));
  if (wide.numel() > 0)
    std::memcpy(wide.mutable_data_ptr(), real ? static_cast<const void*>(reader.reals.data()) : reader.integers.data(),
                wide.nbytes());
  return wide.to(dtype.value_or(natural));
}

void set_nested_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"item", guarded<tensor_item>, "The one element as a Lua number or boolean.\n@return number|boolean"},
      {"tolist", guarded<tensor_tolist>,
       "The elements as nested 1-based tables; a number for a 0-dim tensor.\n@return table|number|boolean"},
      {"to", guarded<tensor_to>,
       "Converted to a dtype, a device, both, or as another tensor; itself if nothing changes.\n@param ... "
       "dtype|device|Tensor\n@param non_blocking? boolean false\n@param copy? boolean false\n@return Tensor"},
      {"float", guarded<tensor_as<at::kFloat>>, "As float32.\n@return Tensor"},
      {"double", guarded<tensor_as<at::kDouble>>, "As float64.\n@return Tensor"},
      {"half", guarded<tensor_as<at::kHalf>>, "As float16.\n@return Tensor"},
      {"bfloat16", guarded<tensor_as<at::kBFloat16>>, "As bfloat16.\n@return Tensor"},
      {"int", guarded<tensor_as<at::kInt>>, "As int32.\n@return Tensor"},
      {"long", guarded<tensor_as<at::kLong>>, "As int64.\n@return Tensor"},
      {"short", guarded<tensor_as<at::kShort>>, "As int16.\n@return Tensor"},
      {"char", guarded<tensor_as<at::kChar>>, "As int8.\n@return Tensor"},
      {"byte", guarded<tensor_as<at::kByte>>, "As uint8.\n@return Tensor"},
      {"bool", guarded<tensor_as<at::kBool>>, "As bool.\n@return Tensor"},
      {"cpu", guarded<tensor_cpu>, "On the CPU.\n@return Tensor"},
      {"cuda", guarded<tensor_cuda>,
       "On a CUDA device.\n@param device? device|integer the current one\n@return Tensor"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

void set_nested_functions(lua_State* L) {
  static constexpr Row kRows[] = {
      {"tensor", guarded<make_tensor>,
       "A new tensor with a copy of the data.\n@param data number|boolean|table|Tensor\n@param dtype? dtype from the "
       "data: int64, the default dtype, or bool\n@param device? device \"cpu\"\n@param requires_grad? boolean "
       "false\n@return Tensor"},
      {"as_tensor", guarded<as_tensor>,
       "The tensor itself, or a new one from data.\n@param data any\n@param dtype? dtype\n@param device? "
       "device\n@return Tensor"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
