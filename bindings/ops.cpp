// From a Lua call to the dispatcher and back: overload choice, keywords, results.
#include "bindings/ops.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "bindings/guard.h"
#include "bindings/value.h"

namespace trainhost::bindings {
namespace {

using c10::IValue;
using tensor::Argument;
using tensor::Kind;
using tensor::Operator;
using tensor::Overload;
using tensor::Stack;

constexpr int kMostArguments = 48;

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
    free_stacks().push_back(std::move(stack_));
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

// Trivial, so that the array below costs nothing where there are none.
struct Keyword {
  const char* text;
  size_t size;
  int index;  // of its value on the Lua stack

  std::string_view name() const { return {text, size}; }
};

// What the script gave: positional values at 1..positional, keywords with their values above.
struct Call {
  int positional = 0;
  int keyword_count = 0;
  int out = 0;      // index of out=, 0 if not given
  int written = 0;  // index of the value that an in-place operator writes to and returns
  std::array<Keyword, kMostArguments> keywords;
};

std::string_view canonical(std::string_view name) {
  if (name == "self") return "input";
  if (name == "end_") return "end";
  if (name == "axis") return "dim";
  if (name == "keepdims") return "keepdim";
  return name;
}

// Does the table at `index` have string keys (and are all keys strings)?
struct Keys {
  bool strings = false, others = false;
};
Keys keys_of(lua_State* L, int index) {
  Keys keys;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    (lua_type(L, -2) == LUA_TSTRING ? keys.strings : keys.others) = true;
    lua_pop(L, 1);
    if (keys.others && keys.strings) {
      lua_pop(L, 1);
      break;
    }
  }
  return keys;
}

// A last table is keywords if and only if it is not empty and all its keys are strings. As the sole argument a
// table may mix a list with keywords: torch.zeros{2, 3, dtype = torch.float64}.
void read_call(lua_State* L, bool method, Call& call) {
  call.positional = lua_gettop(L);
  const int last = call.positional;
  if (last == 0 || !lua_istable(L, last)) return;
  const bool is_list = lua_rawlen(L, last) > 0;
  const bool sole = last == (method ? 2 : 1);
  if (is_list && !sole) return;
  const Keys keys = keys_of(L, last);
  if (!keys.strings || (keys.others && !is_list)) return;
  luaL_checkstack(L, 2 * kMostArguments, "keyword arguments");
  int table = last;
  if (is_list) {
    const lua_Integer size = static_cast<lua_Integer>(lua_rawlen(L, last));
    luaL_checkstack(L, static_cast<int>(size) + 4, "arguments");
    for (lua_Integer i = 1; i <= size; ++i) {  // the table moves up above its elements
      lua_rawgeti(L, last + static_cast<int>(i) - 1, i);
      lua_insert(L, last + static_cast<int>(i) - 1);
    }
    call.positional = last - 1 + static_cast<int>(size);
    table = call.positional + 1;
  } else {
    call.positional = last - 1;
  }
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pop(L, 1);
      continue;
    }
    const std::string_view name = canonical(lua_tostring(L, -2));
    if (call.keyword_count == kMostArguments) throw_usage("too many keyword arguments");
    const int index = lua_gettop(L) - 1;  // after the insert the value lies below its key
    lua_insert(L, index);
    if (name == "out") call.out = index;
    else call.keywords[call.keyword_count++] = {name.data(), name.size(), index};
  }
}

// Fills `slots` with the Lua index of each argument's value (0: not given). False if the values cannot be placed.
bool place(const Overload& overload, const Call& call, bool method, std::array<int, kMostArguments>& slots,
           bool& varargs) {
  const auto& positions = method ? overload.self_positions : overload.positions;
  if (method && positions.empty()) return false;
  std::fill_n(slots.begin(), overload.arguments.size(), 0);
  varargs = false;
  if (call.positional > static_cast<int>(positions.size())) {
    varargs = method ? overload.self_varargs : overload.varargs;
    if (!varargs) return false;
  }
  const int placed = std::min<int>(call.positional, static_cast<int>(positions.size()));
  for (int i = 0; i < placed; ++i) slots[positions[i]] = i + 1;
  for (int k = 0; k < call.keyword_count; ++k) {
    const Keyword& keyword = call.keywords[k];
    size_t argument = 0;
    while (argument < overload.arguments.size() && overload.arguments[argument].name != keyword.name()) ++argument;
    if (argument == overload.arguments.size()) {
      if (keyword.name() == "requires_grad" && overload.factory) continue;
      return false;
    }
    if (slots[argument] != 0) return false;  // given by position as well
    slots[argument] = keyword.index;
  }
  return true;
}

// x:view(2, 3): the numbers from the first list argument on are one list. A single number is one, too.
bool take_varargs(lua_State* L, int first, int last, Fit fit, IValue& out) {
  std::vector<int64_t> values;
  for (int i = first; i <= last; ++i) {
    int exact = lua_isinteger(L, i);
    if (!exact && (fit == Fit::exact || lua_type(L, i) != LUA_TNUMBER)) return false;
    values.push_back(lua_tointegerx(L, i, &exact));
    if (!exact) return false;
  }
  out = std::move(values);
  return true;
}

bool take_out(lua_State* L, const Call& call, int nth, int count, IValue& out) {
  if (count == 1) {
    const at::Tensor* tensor = test_tensor(L, call.out);
    if (tensor) out = *tensor;
    return tensor != nullptr;
  }
  if (!lua_istable(L, call.out)) return false;
  lua_rawgeti(L, call.out, nth + 1);
  const at::Tensor* tensor = test_tensor(L, -1);
  if (tensor) out = *tensor;
  lua_pop(L, 1);
  return tensor != nullptr;
}

// Converts everything the overload takes. `misfit`: the argument that did not fit.
bool bind(lua_State* L, const Overload& overload, Call& call, bool method, Fit fit, Stack& stack,
          const Argument** misfit = nullptr, int* misfit_index = nullptr) {
  std::array<int, kMostArguments> slots;
  bool varargs = false;
  if (!place(overload, call, method, slots, varargs)) return false;
  stack.clear();
  const size_t size = overload.arguments.size();
  const bool may_vary = method ? overload.self_varargs : overload.varargs;
  const int list_position = method ? 1 : 0;
  int outs = 0, out_count = 0;
  if (call.out)
    for (const Argument& argument : overload.arguments) out_count += argument.is_out;
  for (size_t i = 0; i < size; ++i) {
    const Argument& argument = overload.arguments[i];
    IValue& value = stack.emplace_back();
    const int index = slots[i];
    bool fits;
    if (argument.is_out) {
      fits = call.out && take_out(L, call, outs++, out_count, value);
    } else if (index == 0) {
      // As in Python, None has to be given where there is no default: x:random_(5) is random_.to, not random_.from.
      fits = argument.default_value || (argument.optional && argument.kind == Kind::unsupported);
      if (argument.default_value) value = *argument.default_value;
    } else if (may_vary && index == list_position + 1 && index <= call.positional &&
               (varargs || lua_type(L, index) == LUA_TNUMBER)) {
      fits = take_varargs(L, index, call.positional, fit, value);
    } else if (fit == Fit::lenient_numbers_as_tensors && argument.kind == Kind::tensor &&
               lua_type(L, index) == LUA_TNUMBER) {
      value = number_tensor(*to_scalar(L, index), test_tensor(L, slots[i == 0 ? 1 : 0]));
      fits = true;
    } else {
      fits = to_ivalue(L, index, argument, fit, value);
    }
    if (!fits) {
      if (misfit) *misfit = &argument;
      if (misfit_index) *misfit_index = index;
      return false;
    }
  }
  if (overload.writes >= 0) call.written = slots[overload.writes];
  return true;
}

std::string public_name(const Operator& op, bool method) {
  if (method) return "Tensor." + op.name;
  for (const char* space : {"linalg_", "fft_", "special_"}) {
    const size_t size = std::strlen(space);
    if (op.name.compare(0, size, space) == 0)
      return "torch." + std::string(space, size - 1) + "." + op.name.substr(size);
  }
  return op.name.find("::") == std::string::npos ? "torch." + op.name : "torch.ops." + op.name;
}

std::string expected_text(const Argument& argument) {
  static const char* const kExpected[] = {"a Tensor",
                                          "a number",
                                          "an integer",
                                          "a number",
                                          "a boolean",
                                          "a string",
                                          "a dtype",
                                          "a layout",
                                          "a memory_format",
                                          "a device",
                                          "a Generator",
                                          "a list of integers",
                                          "a list of numbers",
                                          "a list of booleans",
                                          "a list of numbers",
                                          "a list of Tensors",
                                          "a list of Tensors",
                                          "a list of strings",
                                          "?"};
  const std::string text = kExpected[static_cast<int>(argument.kind)];
  return argument.length == 0              ? text
         : argument.kind == Kind::integers ? "an integer or " + text
                                           : "a number or " + text;
}

// One overload fits by arity: name the argument. Else list the signatures, as PyTorch does.
[[noreturn]] void throw_no_overload(lua_State* L, const Operator& op, Call& call, bool method) {
  const std::string name = public_name(op, method);
  if (method && (call.positional == 0 || !test_tensor(L, 1)))
    throw_usage(name + ": the first argument must be a Tensor, got " + describe(L, 1),
                "call a method with ':', as in x:" + op.name + "()");
  const auto& overloads = call.out ? op.outs : op.overloads;
  const Overload* only = nullptr;
  int candidates = 0;
  std::array<int, kMostArguments> slots;
  bool varargs;
  for (const Overload& overload : overloads)
    if (place(overload, call, method, slots, varargs)) {
      only = &overload;
      ++candidates;
    }
  if (candidates == 1) {
    const Argument* misfit = nullptr;
    int index = 0;
    StackLease lease;
    bind(L, *only, call, method, op.numbers_as_tensors ? Fit::lenient_numbers_as_tensors : Fit::lenient, *lease,
         &misfit, &index);
    if (misfit && index == 0)
      throw_usage(name + ": missing argument '" + misfit->name + "' (" + expected_text(*misfit) + ")",
                  name + only->signature(method));
    if (misfit)
      throw_usage(name + ": argument '" + misfit->name + "' must be " + expected_text(*misfit) + ", got " +
                  describe(L, index));
  }
  std::string got;
  for (int i = method ? 2 : 1; i <= call.positional; ++i) got += (got.empty() ? "" : ", ") + describe(L, i);
  for (int k = 0; k < call.keyword_count; ++k)
    got += (got.empty() ? "" : ", ") + std::string(call.keywords[k].name()) + "=" + describe(L, call.keywords[k].index);
  std::string message = name + ": no signature takes (" + got + "); expected";
  for (const Overload& overload : overloads)
    if (!method || !overload.self_positions.empty()) message += "\n  " + name + overload.signature(method);
  throw_usage(message);
}

// Finds the overload and leaves its converted arguments on `stack`.
const Overload& choose(lua_State* L, const Operator& op, Call& call, bool method, Stack& stack) {
  const auto& overloads = call.out ? op.outs : op.overloads;
  if (!op.numbers_as_tensors)  // else no two overloads take the same values
    for (const Overload& overload : overloads)
      if (bind(L, overload, call, method, Fit::exact, stack)) return overload;
  const Fit fit = op.numbers_as_tensors ? Fit::lenient_numbers_as_tensors : Fit::lenient;
  for (const Overload& overload : overloads)
    if (bind(L, overload, call, method, fit, stack)) return overload;
  throw_no_overload(L, op, call, method);
}

bool is_out_of_memory(const std::exception& e) { return caught(e).kind == ErrorKind::memory; }

void call_with_retry(lua_State* L, const Operator& op, const Overload& overload, Call& call, bool method,
                     Stack& stack) {
  try {
    overload.call(stack);
    return;
  } catch (const std::exception& e) {
    if (overload.mutates || !is_out_of_memory(e)) throw;  // what was written to would be written to twice
  }
  vm::State::of(L).native_bytes().collect(L);
  choose(L, op, call, method, stack);
  overload.call(stack);
}

int push_results(lua_State* L, const Overload& overload, const Call& call, Stack& stack) {
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

int invoke(lua_State* L, const Operator& op, bool method) {
  Call call;
  read_call(L, method, call);
  StackLease lease;
  Stack& stack = *lease;
  const Overload& overload = choose(L, op, call, method, stack);
  call_with_retry(L, op, overload, call, method, stack);
  if (overload.factory)
    for (int k = 0; k < call.keyword_count; ++k)
      if (call.keywords[k].name() == "requires_grad" && lua_toboolean(L, call.keywords[k].index))
        stack[0].toTensor().set_requires_grad(true);
  return push_results(L, overload, call, stack);
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
  const std::string name = public_name(op, kMethod);
  if (fault->message.compare(0, name.size(), name) != 0) fault->message = name + ": " + fault->message;
  raise(L, *fault, name.c_str());
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
  const Operator* op = tensor::find_any_operator("aten::" + std::string(luaL_checkstring(L, 1)));
  lua_newtable(L);
  if (op)
    for (size_t i = 0; i < op->overloads.size(); ++i) {
      lua_pushstring(L, op->overloads[i].signature(lua_toboolean(L, 2)).c_str());
      lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
    }
  return 1;
}

}  // namespace

void push_operator(lua_State* L, const Operator& op, Form form) {
  static constexpr lua_CFunction kCalls[] = {call_operator<Form::function>, call_operator<Form::method>,
                                             call_operator<Form::commutative>, call_operator<Form::unary>};
  lua_pushlightuserdata(L, const_cast<Operator*>(&op));
  lua_pushcclosure(L, kCalls[static_cast<int>(form)], 1);
}

bool push_operator(lua_State* L, std::string_view name, Form form) {
  const Operator* op = tensor::find_operator(name);
  if (!op) return false;
  if (form == Form::method && std::none_of(op->overloads.begin(), op->overloads.end(),
                                           [](const Overload& overload) { return !overload.self_positions.empty(); }))
    return false;
  push_operator(L, *op, form);
  return true;
}

std::string nearest_operators(std::string_view name, bool method) {
  std::vector<std::pair<size_t, const std::string*>> near;
  const size_t most = name.size() <= 3 ? 1 : name.size() <= 6 ? 2 : 3;
  for (const std::string& candidate : tensor::operator_names()) {
    const bool inside = name.size() >= 4 && candidate.find(name) != std::string::npos;
    const size_t distance = inside ? most : edit_distance(name, candidate);
    if (distance <= most) near.emplace_back(distance, &candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->size() < b.second->size();
  });
  std::string text;
  for (size_t i = 0, shown = 0; i < near.size() && shown < 3; ++i) {
    const Operator* op = tensor::find_operator(*near[i].second);
    if (!op || (method && op->overloads.empty())) continue;
    text += (shown++ ? ", '" : "did you mean '") + *near[i].second + "'";
  }
  return text.empty() ? text : text + "?";
}

int open_ops(lua_State* L) {
  static constexpr Row kRows[] = {
      {"find", guarded<find>,
       "The public operator of that name, or nil.\n@param name string \"add\", \"linalg_norm\"\n@param method? boolean "
       "as x:name(...)\n@return function?"},
      {"find_any", guarded<find_any>,
       "Any operator of the dispatcher.\n@param name string \"aten::add\"\n@return function?"},
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
