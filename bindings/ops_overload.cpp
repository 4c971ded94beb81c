// Overload choice: values placed by name and position, then converted by the schema.
#include "bindings/ops_overload.h"

#include <ATen/core/ivalue.h>

#include <algorithm>

namespace trainhost::bindings {

using c10::IValue;
using tensor::Argument;
using tensor::Kind;
using tensor::Operator;
using tensor::Overload;
using tensor::Stack;

namespace {

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

}  // namespace

bool place(const Overload& overload, const Call& call, bool method, Slots& slots, bool& varargs) {
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

bool bind(lua_State* L, const Overload& overload, Call& call, bool method, Fit fit, Stack& stack,
          const Argument** misfit, int* misfit_index) {
  Slots slots;
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

}  // namespace trainhost::bindings
