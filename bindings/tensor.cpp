// The Tensor type in Lua: attributes, methods, operators, and how tensors are charged and kept identical.
#include "bindings/tensor.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

#include "bindings/autograd.h"
#include "bindings/dtype.h"
#include "bindings/indexing.h"
#include "bindings/nested.h"
#include "bindings/ops.h"
#include "bindings/printing.h"
#include "bindings/process.h"

namespace trainhost::bindings {
namespace {

const char kIdentity = 0, kSize = 0;  // their addresses are registry keys
constexpr size_t kHandleBytes = 512;  // a TensorImpl, its storage record and the userdata, roughly

void push_new(lua_State* L, at::Tensor tensor, size_t bytes) {
  if (!tensor.defined()) {
    lua_pushnil(L);
    return;
  }
  push<at::Tensor>(L, {std::move(tensor), false});
  vm::NativeBytes& native_bytes = vm::State::of(L).native_bytes();
  if (native_bytes.charge(bytes)) native_bytes.collect(L);
}

void release_tensor(void* impl) { c10::intrusive_ptr<c10::TensorImpl>::reclaim(static_cast<c10::TensorImpl*>(impl)); }

int tensor_collect(lua_State* L) {
  auto* handle = static_cast<TensorHandle*>(lua_touserdata(L, 1));
  if (handle->tensor.defined()) {
    c10::TensorImpl* impl = handle->tensor.unsafeReleaseTensorImpl();
    if (!vm::State::of(L).native_bytes().release_later(impl, release_tensor)) release_tensor(impl);
  }
  handle->~TensorHandle();
  return 0;
}

int size_tostring(lua_State* L) {
  std::string text = "torch.Size([";
  for (lua_Integer i = 1, n = luaL_len(L, 1); i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    text += (i > 1 ? ", " : "") + std::to_string(lua_tointeger(L, -1));
    lua_pop(L, 1);
  }
  text += "])";
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

int size_equal(lua_State* L) {
  const lua_Integer n = luaL_len(L, 1);
  bool equal = n == luaL_len(L, 2);
  for (lua_Integer i = 1; equal && i <= n; ++i) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    equal = lua_compare(L, -1, -2, LUA_OPEQ) != 0;
    lua_pop(L, 2);
  }
  lua_pushboolean(L, equal);
  return 1;
}

// --- Attributes: f(L) with the tensor at 1.

int get_shape(lua_State* L) { return push_sizes(L, check_tensor(L, 1).sizes()), 1; }
int get_dtype(lua_State* L) { return push_dtype(L, check_tensor(L, 1).scalar_type()), 1; }
int get_device(lua_State* L) { return push_device(L, check_tensor(L, 1).device()), 1; }
int get_layout(lua_State* L) { return push<at::Layout>(L, {check_tensor(L, 1).layout()}), 1; }
int get_ndim(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).dim()), 1; }
int get_itemsize(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).itemsize()), 1; }
int get_nbytes(lua_State* L) { return lua_pushinteger(L, static_cast<lua_Integer>(check_tensor(L, 1).nbytes())), 1; }
int get_requires_grad(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).requires_grad()), 1; }
int get_is_leaf(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_leaf()), 1; }
int get_is_cuda(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_cuda()), 1; }
int get_is_cpu(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_cpu()), 1; }
int get_is_sparse(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_sparse()), 1; }
int get_is_meta(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_meta()), 1; }
int get_is_quantized(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_quantized()), 1; }
int get_retains_grad(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).retains_grad()), 1; }
int get_data(lua_State* L) { return push_view(L, check_tensor(L, 1).variable_data()), 1; }
int get_grad(lua_State* L) { return push_identity(L, check_tensor(L, 1).grad()), 1; }

int get_grad_fn(lua_State* L) { return push_node(L, check_tensor(L, 1).grad_fn()), 1; }
int get_output_nr(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).output_nr()), 1; }
int get_version(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  return lua_pushinteger(L, tensor.is_inference() ? 0 : tensor._version()), 1;
}

template <const char* name>
int get_operator(lua_State* L) {
  push_operator(L, name, Form::method);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}
constexpr char kT[] = "numpy_T", kMT[] = "mT", kH[] = "matrix_H", kMH[] = "mH", kReal[] = "real", kImag[] = "imag";

constexpr Row kAttributes[] = {
    {"shape", guarded<get_shape>, "The sizes, 1-based: x.shape[1] == x:size(0).\n@type integer[]"},
    {"dtype", guarded<get_dtype>, "@type dtype"},
    {"device", guarded<get_device>, "@type device"},
    {"layout", guarded<get_layout>, "@type layout"},
    {"ndim", guarded<get_ndim>, "How many dimensions.\n@type integer"},
    {"itemsize", guarded<get_itemsize>, "Bytes of one element.\n@type integer"},
    {"nbytes", guarded<get_nbytes>, "Bytes of all elements.\n@type integer"},
    {"requires_grad", guarded<get_requires_grad>, "Assignable on leaves.\n@type boolean"},
    {"is_leaf", guarded<get_is_leaf>, "@type boolean"},
    {"is_cuda", guarded<get_is_cuda>, "@type boolean"},
    {"is_cpu", guarded<get_is_cpu>, "@type boolean"},
    {"is_sparse", guarded<get_is_sparse>, "@type boolean"},
    {"is_meta", guarded<get_is_meta>, "@type boolean"},
    {"is_quantized", guarded<get_is_quantized>, "@type boolean"},
    {"retains_grad", guarded<get_retains_grad>, "@type boolean"},
    {"data", guarded<get_data>, "The same memory without history.\n@type Tensor"},
    {"grad", guarded<get_grad>, "The accumulated gradient, or nil; assignable.\n@type Tensor?"},
    {"grad_fn", guarded<get_grad_fn>, "The node that made it, printed as <AddBackward0>; nil for a leaf.\n@type Node?"},
    {"output_nr", guarded<get_output_nr>, "Which output of grad_fn it is.\n@type integer"},
    {"_version", guarded<get_version>, "How often it was changed in place.\n@type integer"},
    {"T", guarded<get_operator<kT>>, "All dimensions reversed.\n@type Tensor"},
    {"mT", guarded<get_operator<kMT>>, "The last two dimensions swapped.\n@type Tensor"},
    {"H", guarded<get_operator<kH>>, "A matrix, transposed and conjugated.\n@type Tensor"},
    {"mH", guarded<get_operator<kMH>>, "The last two dimensions swapped and conjugated.\n@type Tensor"},
    {"real", guarded<get_operator<kReal>>, "@type Tensor"},
    {"imag", guarded<get_operator<kImag>>, "@type Tensor"},
    {nullptr, nullptr, nullptr}};

// --- Metamethods

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
  if (!push_operator(L, name, Form::method))
    throw_usage(std::string("a Tensor has no method or attribute '") + name + "'", nearest_operators(name, true));
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}

int tensor_newindex(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : nullptr;
  if (!name || !is_identifier(name)) return index_set(L);
  at::Tensor& tensor = check_tensor(L, 1);
  if (std::strcmp(name, "requires_grad") == 0) {
    if (!lua_isboolean(L, 3)) throw_argument(L, "Tensor.requires_grad", "value", "a boolean", 3);
    set_requires_grad(tensor, lua_toboolean(L, 3));
  } else if (std::strcmp(name, "grad") == 0) {
    if (lua_isnil(L, 3)) tensor.mutable_grad().reset();
    else set_grad(tensor, check_tensor(L, 3));
  } else if (std::strcmp(name, "data") == 0) {
    tensor.set_data(check_tensor(L, 3));
  } else {
    throw_usage(std::string("cannot assign the field '") + name + "' of a Tensor",
                "requires_grad, grad and data can be assigned, and elements by index: x[0] = 1");
  }
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
  const at::Tensor& tensor = check_tensor(L, 1);
  if (tensor.dim() == 0) throw Error(ErrorKind::shape, "the length of a 0-dim tensor", "#x is x:size(0)");
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
  const bool number = lua_type(L, 1) == LUA_TNUMBER;
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

int tensor_close(lua_State* L) {
  if (auto* handle = test<at::Tensor>(L, 1)) {
    if (handle->tensor.defined()) {
      lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
      if (lua_rawgetp(L, -1, handle->tensor.unsafeGetTensorImpl()) != LUA_TNIL && lua_rawequal(L, -1, 1)) {
        lua_pushnil(L);
        lua_rawsetp(L, -3, handle->tensor.unsafeGetTensorImpl());
      }
      lua_pop(L, 2);
    }
    handle->tensor = at::Tensor();
  }
  return 0;
}

// --- Methods that are no operators

int tensor_size(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (lua_isnoneornil(L, 2)) return push_sizes(L, tensor.sizes()), 1;
  if (!lua_isinteger(L, 2)) throw_argument(L, "Tensor.size", "dim", "an integer", 2);
  lua_pushinteger(L, tensor.size(lua_tointeger(L, 2)));
  return 1;
}

int tensor_stride(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (lua_isnoneornil(L, 2)) return push_sizes(L, tensor.strides()), 1;
  if (!lua_isinteger(L, 2)) throw_argument(L, "Tensor.stride", "dim", "an integer", 2);
  lua_pushinteger(L, tensor.stride(lua_tointeger(L, 2)));
  return 1;
}

int tensor_dim(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).dim()), 1; }
int tensor_numel(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).numel()), 1; }
int tensor_element_size(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).itemsize()), 1; }
int tensor_storage_offset(lua_State* L) { return lua_pushinteger(L, check_tensor(L, 1).storage_offset()), 1; }
int tensor_data_ptr(lua_State* L) {
  return lua_pushinteger(L, reinterpret_cast<lua_Integer>(check_tensor(L, 1).data_ptr())), 1;
}
int tensor_is_contiguous(lua_State* L) { return lua_pushboolean(L, check_tensor(L, 1).is_contiguous()), 1; }

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
  if (check_tensor(L, 1).dim() == 0) throw Error(ErrorKind::shape, "iteration over a 0-dim tensor");
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, guarded<iterate>, 2);
  return 1;
}

constexpr Row kMethods[] = {
    {"size", guarded<tensor_size>,
     "The size of one dimension, or all of them.\n@param dim? integer\n@return integer|integer[]"},
    {"stride", guarded<tensor_stride>,
     "The stride of one dimension, or all, in elements.\n@param dim? integer\n@return integer|integer[]"},
    {"dim", guarded<tensor_dim>, "How many dimensions.\n@return integer"},
    {"ndimension", guarded<tensor_dim>, "How many dimensions.\n@return integer"},
    {"numel", guarded<tensor_numel>, "How many elements.\n@return integer"},
    {"nelement", guarded<tensor_numel>, "How many elements.\n@return integer"},
    {"element_size", guarded<tensor_element_size>, "Bytes of one element.\n@return integer"},
    {"storage_offset", guarded<tensor_storage_offset>, "Offset in its storage, in elements.\n@return integer"},
    {"data_ptr", guarded<tensor_data_ptr>, "Address of the first element.\n@return integer"},
    {"is_contiguous", guarded<tensor_is_contiguous>, "Is it laid out row by row?\n@return boolean"},
    {"iter", guarded<tensor_iter>, "Iterates over the first dimension: for row in x:iter() do.\n@return fun(): Tensor"},
    {"free", guarded<tensor_close>, "Lets go of the tensor now instead of at the next collection."},
    {nullptr, nullptr, nullptr}};

// ipairs(x) and table.unpack(x) would count from 1 and end in an index error: say what to write instead.
int not_of_tensors(lua_State* L) {
  if (test<at::Tensor>(L, 1))
    throw_usage(std::string(lua_tostring(L, lua_upvalueindex(2))) + " does not take a Tensor, whose indices begin at 0",
                "use x:iter() for its rows or x:unbind() for a table of them");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// Replaces the function `name` of the table on top of the stack.
void refuse_tensors(lua_State* L, const char* name) {
  lua_getfield(L, -1, name);
  lua_pushstring(L, name);
  lua_pushcclosure(L, guarded<not_of_tensors>, 2);
  lua_setfield(L, -2, name);
}

void set_operator(lua_State* L, const char* metamethod, const char* op, Form form) {
  push_operator(L, op, form);
  lua_setfield(L, -2, metamethod);
}

}  // namespace

void push_sizes(lua_State* L, at::IntArrayRef sizes) {
  lua_createtable(L, static_cast<int>(sizes.size()), 0);
  for (size_t i = 0; i < sizes.size(); ++i) {
    lua_pushinteger(L, sizes[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSize);
  lua_setmetatable(L, -2);
}

void push_tensor(lua_State* L, at::Tensor tensor) {
  size_t bytes = kHandleBytes;
  // New memory has one owner, or two where autograd saved the output (relu, softmax): the graph dies with it. A tensor
  // that is held elsewhere (dropout in evaluation gives its input back) was charged there.
  if (tensor.defined() && tensor.has_storage() && tensor.use_count() == 1 &&
      tensor.storage().use_count() <= (tensor.requires_grad() ? 2 : 1))
    bytes += tensor.storage().nbytes();
  push_new(L, std::move(tensor), bytes);
}

void push_view(lua_State* L, at::Tensor tensor) { push_new(L, std::move(tensor), kHandleBytes); }

void push_identity(lua_State* L, const at::Tensor& tensor, bool parameter) {
  if (!tensor.defined()) {
    lua_pushnil(L);
    return;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  if (lua_rawgetp(L, -1, tensor.unsafeGetTensorImpl()) == LUA_TNIL) {
    lua_pop(L, 1);
    push<at::Tensor>(L, {tensor, parameter});
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, tensor.unsafeGetTensorImpl());
  } else if (parameter) {
    static_cast<TensorHandle*>(lua_touserdata(L, -1))->parameter = true;
  }
  lua_remove(L, -2);
}

at::Tensor* test_tensor(lua_State* L, int index) noexcept {
  TensorHandle* handle = test<at::Tensor>(L, index);
  return handle && handle->tensor.defined() ? &handle->tensor : nullptr;
}

at::Tensor& check_tensor(lua_State* L, int index) { return check<at::Tensor>(L, index).tensor; }

bool is_parameter(lua_State* L, int index) noexcept {
  const TensorHandle* handle = test<at::Tensor>(L, index);
  return handle && handle->parameter;
}

int open_tensor(lua_State* L) {
  static constexpr Row kMetamethods[] = {{"__newindex", guarded<tensor_newindex>, nullptr},
                                         {"__tostring", guarded<tensor_tostring>, nullptr},
                                         {"__eq", guarded<tensor_equal>, nullptr},
                                         {"__len", guarded<tensor_len>, nullptr},
                                         {"__lt", guarded<no_order>, nullptr},
                                         {"__le", guarded<no_order>, nullptr},
                                         {"__pairs", guarded<no_pairs>, nullptr},
                                         {nullptr, nullptr, nullptr}};
  define(L, TypeId::tensor, Type<at::Tensor>::name, tensor_collect, guarded<tensor_close>, nullptr, kMetamethods);
  lua_newtable(L);  // torch.Size
  lua_pushcfunction(L, guarded<size_tostring>);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, guarded<size_equal>);
  lua_setfield(L, -2, "__eq");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSize);
  lua_newtable(L);  // the identity map: weak values
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kIdentity);

  lua_pushglobaltable(L);
  refuse_tensors(L, "ipairs");
  lua_getfield(L, -1, "table");
  refuse_tensors(L, "unpack");
  lua_pop(L, 2);

  lua_newtable(L);  // native.tensor
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::tensor));
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
                                       {"__bnot", "bitwise_not", Form::unary},
                                       {"__shl", "bitwise_left_shift"},
                                       {"__shr", "bitwise_right_shift"}})
    set_operator(L, name, op, form);
  push_operator(L, "div", Form::function);
  push_operator(L, "reciprocal", Form::method);
  push_operator(L, "mul", Form::commutative);
  lua_pushcclosure(L, guarded<divide>, 3);
  lua_setfield(L, -2, "__div");
  lua_newtable(L);
  set_functions(L, kMethods);
  set_nested_methods(L);
  set_autograd_methods(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "methods");  // where stdlib/torch adds its own
  lua_newtable(L);
  set_functions(L, kAttributes);
  lua_pushcclosure(L, guarded<tensor_index>, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  open_dtypes(L);
  set_nested_functions(L);
  set_process_functions(L);
  static constexpr Row kFunctions[] = {
      {"slice", guarded<slice>,
       "Python's slice in a tuple key: x[{0, torch.slice(1, 3)}].\n@param start? integer or stop if alone\n@param "
       "stop? integer\n@param step? integer 1"},
      {"set_printoptions", guarded<set_printoptions>,
       "How tensors print.\n@param precision? integer 4\n@param threshold? number 1000\n@param edgeitems? integer "
       "3\n@param linewidth? integer 80\n@param profile? string \"default\", \"short\", \"full\"\n@param sci_mode? "
       "boolean"},
      {"get_printoptions", guarded<get_printoptions>, "The print options.\n@return table"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
  push_none(L);
  lua_setfield(L, -2, "None");
  return 1;
}

}  // namespace trainhost::bindings
