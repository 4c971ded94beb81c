// From a Lua call to the dispatcher and back: the call itself and its results.
#include "bindings/ops.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/ivalue.h>

#include <algorithm>

#include "bindings/called.h"
#include "bindings/dtype.h"
#include "bindings/guard.h"
#include "bindings/indexing.h"
#include "bindings/keywords.h"
#include "bindings/ops_overload.h"

namespace trainhost::bindings {
namespace {

using c10::IValue;
using tensor::Operator;
using tensor::Overload;
using tensor::Stack;

// A stack taken from a pool: an operator can call back into Lua, which calls operators.
class StackLease {
 public:
  StackLease() {
    auto& pool = free_stacks();
    if (pool.empty()) return;
    stack_ = std::move(pool.back());
    pool.pop_back();
  }
  ~StackLease() {
    stack_.clear();
    try {
      free_stacks().push_back(std::move(stack_));
    } catch (const std::bad_alloc&) {  // one stack less in the pool
    }
  }
  StackLease(const StackLease&) = delete;
  StackLease& operator=(const StackLease&) = delete;
  Stack& operator*() { return stack_; }

 private:
  static std::vector<Stack>& free_stacks() {
    thread_local std::vector<Stack> stacks;
    return stacks;
  }
  Stack stack_;
};

bool is_nil(lua_State* L, int index) { return lua_isnil(L, index) || is_none(L, index); }

bool is_out_of_memory(const std::exception& e) { return caught(e).kind == ErrorKind::memory; }

// Calls the kernel. Nothing but an exception of C++ can leave it: Lua's errors do not cross autograd.
void call_kernel(const Overload& overload, Stack& stack) {
  try {
    overload.call(stack);
  } catch (const std::exception&) {
    throw;
  } catch (...) {
    throw Error(ErrorKind::internal, "Caught an unknown exception!");
  }
}

void call_with_retry(lua_State* L, const Operator& op, const Overload& overload, Call& call, bool method,
                     Stack& stack) {
  // As PyTorch makes them: below autograd, so that nothing counts as a change of the new tensor.
  std::optional<at::AutoDispatchBelowADInplaceOrView> below;
  if (overload.below_autograd) below.emplace();
  try {
    call_kernel(overload, stack);
    return;
  } catch (const std::exception& e) {
    if (overload.mutates || !is_out_of_memory(e)) throw;  // what was written to would be written to twice
  }
  vm::State::of(L).native_bytes().collect(L);
  choose(L, op, call, method, stack);
  call_kernel(overload, stack);
}

int push_results(lua_State* L, const Overload& overload, const Call& call, Stack& stack) {
  if (call.out && overload.arguments.back().kind == tensor::Kind::tensors) {  // PyTorch gives nothing back
    lua_pushnil(L);
    return 1;
  }
  // In-place and out= give back the very value that was written to.
  if (call.out && lua_istable(L, call.out)) {
    const int count = static_cast<int>(lua_rawlen(L, call.out));
    luaL_checkstack(L, count, "results");
    for (int i = 1; i <= count; ++i) lua_rawgeti(L, call.out, i);
    return count;
  }
  if (const int index = call.out ? call.out : call.written; index && test_tensor(L, index)) {
    lua_pushvalue(L, index);
    return 1;
  }
  const int count = static_cast<int>(stack.size());
  luaL_checkstack(L, count + 4, "results");
  if (overload.returns_dtype) push_dtype(L, static_cast<at::ScalarType>(stack[0].toInt()));
  else
    for (IValue& value : stack) push_ivalue(L, std::move(value), !overload.aliases);
  return count;
}

// With out=, dtype, layout and device are not given to the kernel: they have to be the output's.
void check_out(lua_State* L, const Keyword& keyword, const at::Tensor& out) {
  const std::string_view name = keyword.name();
  if (name == "dtype" && !is_nil(L, keyword.index) && check_dtype(L, keyword.index) != out.scalar_type())
    throw Error(ErrorKind::dtype, std::string("dtype ") + c10::toString(check_dtype(L, keyword.index)) +
                                      " does not match dtype of out parameter (" + c10::toString(out.scalar_type()) +
                                      ")");
  if (name == "layout" && !is_nil(L, keyword.index) && check<at::Layout>(L, keyword.index).value != out.layout())
    throw_usage("layout does not match layout of out parameter");
  if (name == "device" && !is_nil(L, keyword.index) && check_device(L, keyword.index).type() != out.device().type())
    throw Error(ErrorKind::device, "device does not match device of out parameter (" + out.device().str() + ")");
}

// What PyTorch itself does with tensor options that are no arguments of the operator. `stack` holds the results.
void use_options(lua_State* L, const Call& call, Stack& stack) {
  for (int k = 0; k < call.keyword_count; ++k) {
    const Keyword& keyword = call.keywords[k];
    if (keyword.name() == "requires_grad") {
      if (!is_nil(L, keyword.index) && check_boolean(L, keyword.index, "torch", "requires_grad"))
        stack[0].toTensor().set_requires_grad(true);
    }
  }
}

int invoke(lua_State* L, const Operator& op, bool method) {
  Call call;
  read_call(L, method, call);
  StackLease lease;
  Stack& stack = *lease;
  const Overload& overload = choose(L, op, call, method, stack);
  if (call.out && overload.options)
    for (int k = 0; k < call.keyword_count; ++k) check_out(L, call.keywords[k], stack.back().toTensor());
  call_with_retry(L, op, overload, call, method, stack);
  if (overload.deprecated) warn_deprecated(L, op, overload, method);
  if (overload.options && call.keyword_count > 0) use_options(L, call, stack);
  return push_results(L, overload, call, stack);
}

// The fault with the name of what the script called in front, and the name: of the operator, or of the function or
// layer of the standard library that called it.
std::string name_fault(lua_State* L, const Operator& op, bool method, vm::Fault& fault) {
  try {
    std::string name = public_name(op, method);
    if (fault.message.compare(0, name.size(), name) != 0) fault.message = name + ": " + fault.message;
    const Called outer = called(L);
    if (outer.name.empty()) return name;
    fault.message.replace(0, name.size(), outer.name);
    explain_tail(outer, fault);
    return outer.name;
  } catch (const std::bad_alloc&) {  // the fault as it was
    return {};
  }
}

template <Form form>
int call_operator(lua_State* L) {
  constexpr bool kMethod = form == Form::method || form == Form::unary;
  if constexpr (form == Form::unary) lua_settop(L, 1);
  if constexpr (form == Form::commutative)
    if (lua_type(L, 1) == LUA_TNUMBER) lua_insert(L, 1);
  const auto& op = *static_cast<const Operator*>(lua_touserdata(L, lua_upvalueindex(1)));
  std::optional<Caught> fault;
  try {
    return invoke(L, op, kMethod);
  } catch (const std::exception& e) {
    fault = caught(e);
  }
  const std::string name = name_fault(L, op, kMethod, *fault);
  raise(L, *fault, name.c_str());
}

constexpr lua_CFunction kCalls[] = {call_operator<Form::function>, call_operator<Form::method>,
                                    call_operator<Form::commutative>, call_operator<Form::unary>};

// native.ops.name_of(value) -> "add", is it called as a method | nil
int name_of(lua_State* L) {
  for (const Form form : {Form::function, Form::method, Form::commutative, Form::unary}) {
    if (lua_tocfunction(L, 1) != kCalls[static_cast<int>(form)]) continue;
    if (!lua_getupvalue(L, 1, 1)) break;
    lua_pushstring(L, static_cast<const Operator*>(lua_touserdata(L, -1))->name.c_str());
    lua_pushboolean(L, form != Form::function);
    return 2;
  }
  lua_pushnil(L);
  return 1;
}

// native.ops.find(name [, method]) -> function | nil
int find(lua_State* L) {
  if (!push_operator(L, luaL_checkstring(L, 1), lua_toboolean(L, 2) ? Form::method : Form::function)) lua_pushnil(L);
  return 1;
}

// native.ops.find_any("ns::name") -> function | nil
int find_any(lua_State* L) {
  const Operator* op = tensor::find_any_operator(luaL_checkstring(L, 1));
  if (op) push_operator(L, *op, Form::function);
  else lua_pushnil(L);
  return 1;
}

int names(lua_State* L) {
  const auto& all = tensor::operator_names();
  lua_createtable(L, static_cast<int>(all.size()), 0);
  for (size_t i = 0; i < all.size(); ++i) {
    lua_pushstring(L, all[i].c_str());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int nearest(lua_State* L) {
  lua_pushstring(L, nearest_operators(luaL_checkstring(L, 1), lua_toboolean(L, 2)).c_str());
  return 1;
}

int signatures(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  const Operator* op = tensor::find_operator(name);
  if (!op) op = tensor::find_any_operator("aten::" + std::string(name));
  lua_newtable(L);
  const bool method = lua_toboolean(L, 2);
  lua_Integer count = 0;
  if (op)
    for (const Overload& overload : op->overloads) {
      if (overload.deprecated || (method && overload.self_positions.empty())) continue;
      lua_pushstring(L, overload.signature(method).c_str());
      lua_rawseti(L, -2, ++count);
    }
  return 1;
}

}  // namespace

void push_operator(lua_State* L, const Operator& op, Form form) {
  lua_pushlightuserdata(L, const_cast<Operator*>(&op));
  lua_pushcclosure(L, kCalls[static_cast<int>(form)], 1);
}

bool push_operator(lua_State* L, std::string_view name, Form form) {
  const Operator* op = tensor::find_operator(name);
  if (!op) return false;
  // What is in a namespace, torch.linalg.norm, is no method.
  if (form == Form::method && (name.starts_with("linalg_") || name.starts_with("fft_") || name.starts_with("special_")))
    return false;
  if (form == Form::method && std::none_of(op->overloads.begin(), op->overloads.end(),
                                           [](const Overload& overload) { return !overload.self_positions.empty(); }))
    return false;
  push_operator(L, *op, form);
  return true;
}

int open_ops(lua_State* L) {
  static constexpr Row kRows[] = {
      {"find", guarded<find>,
       "The public operator of that name, or nil.\n@param name string \"add\", \"linalg_norm\"\n@param method? boolean "
       "as x:name(...)\n@return function?"},
      {"find_any", guarded<find_any>,
       "Any operator of the dispatcher.\n@param name string \"aten::add\"\n@return function?"},
      {"name_of", guarded<name_of>,
       "The name of an operator's function, and whether it is called as a method; nil for other values.\n@param value "
       "any\n@return string?\n@return boolean? method"},
      {"names", guarded<names>, "The names of all public operators, sorted.\n@return string[]"},
      {"nearest", guarded<nearest>,
       "\"did you mean ...?\" or \"\".\n@param name string\n@param method? boolean\n@return string"},
      {"signatures", guarded<signatures>,
       "The signatures of an operator.\n@param name string\n@param method? boolean\n@return string[]"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
