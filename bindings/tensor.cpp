// The Tensor type in Lua: how tensors are made, charged, kept identical and let go.
#include "bindings/tensor.h"

#include <algorithm>
#include "bindings/counting.h"

#include "bindings/autograd.h"
#include "bindings/complex.h"
#include "bindings/dtype.h"
#include "bindings/generator.h"
#include "bindings/indexing.h"
#include "bindings/nested.h"
#include "bindings/printing.h"
#include "bindings/process.h"
#include "bindings/scope.h"
#include "bindings/size.h"
#include "bindings/stream.h"
#include "bindings/tensor_type.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {
namespace {

const char kIdentity = 0;             // its address is the registry key
constexpr size_t kHandleBytes = 512;  // a TensorImpl, its storage record and the userdata, roughly

void push_new(lua_State* L, at::Tensor tensor, size_t bytes) {
  if (!tensor.defined()) {
    lua_pushnil(L);
    return;
  }
  TensorHandle& handle = push<at::Tensor>(L, {.tensor = std::move(tensor)});
  handle.charged = bytes;
  vm::NativeBytes& native_bytes = vm::State::of(L).native_bytes();
  if (vm::ScopeList* scope = native_bytes.scope()) handle.enter(*scope);
  if (native_bytes.charge(bytes)) native_bytes.collect_due(L);
}

void release_tensor(void* impl) { c10::intrusive_ptr<c10::TensorImpl>::reclaim(static_cast<c10::TensorImpl*>(impl)); }

bool is_sole(const at::Tensor& tensor) {
  return tensor.use_count() == 1 && tensor.has_storage() && tensor.storage().use_count() == 1;
}

// What letting go of the handle gives back: never more than it was charged, and not the memory that a graph or a view
// holds still, which a full collection may free.
size_t bytes_of(const TensorHandle& handle) {
  return is_sole(handle.tensor) ? handle.charged : std::min(handle.charged, kHandleBytes);
}

int tensor_collect(lua_State* L) {
  auto* handle = test<at::Tensor>(L, 1);  // debug can get hold of this function
  if (!handle) return 0;
  if (handle->tensor.defined()) {
    vm::NativeBytes& native_bytes = vm::State::of(L).native_bytes();
    native_bytes.discharge(bytes_of(*handle));
    c10::TensorImpl* impl = handle->tensor.unsafeReleaseTensorImpl();
    if (!native_bytes.release_later(impl, release_tensor)) release_tensor(impl);
  }
  handle->~TensorHandle();
  return 0;
}

int is_tensor(lua_State* L) {
  lua_pushboolean(L, test_tensor(L, 1) != nullptr);
  return 1;
}

}  // namespace

bool release_if_sole(lua_State* L, TensorHandle& handle, size_t handles) {
  if (!handle.tensor.defined()) return true;
  if (handle.tensor.use_count() != handles) return false;
  if (!lua_checkstack(L, 4)) return false;
  vm::State::of(L).native_bytes().discharge(bytes_of(handle));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  lua_pushnil(L);
  lua_rawsetp(L, -2, handle.tensor.unsafeGetTensorImpl());
  lua_pop(L, 1);
  handle.tensor = at::Tensor();
  return true;
}

int tensor_close(lua_State* L) {
  if (auto* handle = test<at::Tensor>(L, 1)) {
    handle->link.leave();
    if (handle->tensor.defined()) {
      lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
      if (lua_rawgetp(L, -1, handle->tensor.unsafeGetTensorImpl()) != LUA_TNIL && lua_rawequal(L, -1, 1)) {
        lua_pushnil(L);
        lua_rawsetp(L, -3, handle->tensor.unsafeGetTensorImpl());
      }
      lua_pop(L, 2);
      vm::State::of(L).native_bytes().discharge(bytes_of(*handle));
    }
    handle->tensor = at::Tensor();
  }
  return 0;
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

void push_view(lua_State* L, at::Tensor tensor) {
  // What may be a view may be a copy as well (reshape, contiguous): a view shares its storage.
  const size_t bytes = tensor.defined() && is_sole(tensor) ? tensor.storage().nbytes() : 0;
  push_new(L, std::move(tensor), kHandleBytes + bytes);
}

void push_identity(lua_State* L, const at::Tensor& tensor, bool parameter) {
  if (!tensor.defined()) {
    lua_pushnil(L);
    return;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  if (lua_rawgetp(L, -1, tensor.unsafeGetTensorImpl()) == LUA_TNIL) {
    lua_pop(L, 1);
    TensorHandle& handle = push<at::Tensor>(L, {.tensor = tensor, .parameter = parameter});
    if (vm::ScopeList* scope = vm::State::of(L).native_bytes().scope()) handle.enter(*scope);
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
  define(L, TypeId::tensor, Type<at::Tensor>::name, tensor_collect, guarded<tensor_close>, nullptr, nullptr);
  vm::push_weak_table(L, "v");  // the identity map
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kIdentity);
  refuse_counting_from_one(L);

  lua_newtable(L);  // native.tensor
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::tensor));
  set_tensor_metamethods(L);
  lua_newtable(L);
  set_tensor_methods(L);
  set_nested_methods(L);
  set_conversion_methods(L);
  set_autograd_methods(L);
  set_stream_methods(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "methods");  // where stdlib/torch adds its own
  lua_newtable(L);
  set_attributes(L);
  push_tensor_index(L);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  open_dtypes(L);
  open_complex(L);
  set_default_functions(L);
  open_size(L);
  set_making_functions(L);
  set_process_functions(L);
  open_generators(L);
  set_scope_functions(L);
  static constexpr Row kFunctions[] = {
      {"is_tensor", guarded<is_tensor>,
       "Is the value a tensor?\n@return boolean\n@example torch.is_tensor(torch.ones(1))  --> true"},
      {"slice", guarded<slice>,
       "Python's slice in a tuple key: x[{0, torch.slice(1, 3)}].\n@param start? integer or stop if alone\n@param "
       "stop? integer\n@param step? integer 1\n@example torch.arange(10)[{torch.slice(1, 8, 3)}]  --> tensor([1, 4, "
       "7])"},
      {"set_printoptions", guarded<set_printoptions>,
       "How tensors print.\n@param precision? integer 4\n@param threshold? number 1000\n@param edgeitems? integer "
       "3\n@param linewidth? integer 80\n@param profile? string \"default\", \"short\", \"full\"\n@param sci_mode? "
       "boolean"
       "\n@example torch.set_printoptions{precision = 2}\ntorch.tensor{1 / 3}  --> "
       "tensor([0.33])\ntorch.set_printoptions{profile = \"default\"}"},
      {"get_printoptions", guarded<get_printoptions>,
       "The print options.\n@return table"
       "\n@example torch.get_printoptions().precision  --> 4"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
  push_none(L);
  lua_setfield(L, -2, "None");
  return 1;
}

}  // namespace trainhost::bindings
