// Overload choice: values placed by name and position, then converted by the schema.
#include "bindings/ops_overload.h"

#include <ATen/core/ivalue.h>

#include <algorithm>

#include "bindings/dtype.h"
#include "bindings/keywords.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {

using c10::IValue;
using tensor::Argument;
using tensor::Kind;
using tensor::Operator;
using tensor::Overload;
using tensor::Stack;

namespace {

// The argument that a keyword means by another name: what PyTorch takes for NumPy's sake, and `end_`, since `end` is a
// keyword of Lua. "" for a keyword that is no alias.
std::string_view aliased(std::string_view keyword) {
  if (keyword == "self" || keyword == "x" || keyword == "a" || keyword == "x1") return "input";
  if (keyword == "axis") return "dim";
  if (keyword == "keepdims") return "keepdim";
  if (keyword == "x2") return "other";
  return keyword == "end_" ? "end" : "";
}

// x:view(2, 3): the numbers from the first list argument on are one list. A single number is one, too.
bool take_varargs(lua_State* L, int first, int last, Fit fit, IValue& out) {
  std::vector<int64_t> values(static_cast<size_t>(last - first + 1));
  for (int i = first; i <= last; ++i)
    if (!to_integer(L, i, fit, values[static_cast<size_t>(i - first)])) return false;
  out = std::move(values);
  return true;
}

bool take_out(lua_State* L, const Call& call, const Argument& argument, int nth, int count, IValue& out) {
  if (argument.kind == Kind::tensors) return to_ivalue(L, call.out, argument, Fit::exact, out);
  if (count == 1) {
    const at::Tensor* tensor = test_tensor(L, call.out);
    if (tensor) out = *tensor;
    return tensor != nullptr;
  }
  if (!lua_istable(L, call.out) || static_cast<int>(lua_rawlen(L, call.out)) != count) return false;
  lua_rawgeti(L, call.out, nth + 1);
  const at::Tensor* tensor = test_tensor(L, -1);
  if (tensor) out = *tensor;
  lua_pop(L, 1);
  return tensor != nullptr;
}

// A number where PyTorch takes one for a tensor.
bool take_number(lua_State* L, int index, int beside, IValue& out) {
  const auto scalar = to_scalar(L, index);
  if (!scalar) return false;
  out = number_tensor(*scalar, beside ? test_tensor(L, beside) : nullptr);
  return true;
}

// x:sum(1, {keepdim = keep}) with keep = nil: an empty last table that is no list here is keywords without any.
bool drop_empty_table(lua_State* L, Call& call, bool method) {
  const int last = call.positional;
  if (call.keyword_count > 0 || last <= (method ? 1 : 0) || !is_empty_table(L, last)) return false;
  --call.positional;
  return true;
}

}  // namespace

size_t find_argument(const Overload& overload, std::string_view keyword) {
  const size_t size = overload.arguments.size();
  for (const std::string_view name : {keyword, aliased(keyword)}) {
    if (name.empty()) break;
    for (size_t i = 0; i < size; ++i)
      if (overload.arguments[i].name == name) return i;
  }
  return size;
}

bool is_option(std::string_view name) {
  return name == "requires_grad" || name == "dtype" || name == "layout" || name == "device" || name == "pin_memory";
}

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
    const size_t argument = find_argument(overload, keyword.name());
    if (argument == overload.arguments.size()) {
      if (overload.options && is_option(keyword.name()) && (call.out || keyword.name() == "requires_grad")) continue;
      return false;
    }
    if (slots[argument] != 0) return false;  // given by position as well
    slots[argument] = keyword.index;
  }
  return true;
}

bool bind(lua_State* L, const Operator& op, const Overload& overload, Call& call, bool method, Fit fit, Stack& stack,
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
      fits = call.out && take_out(L, call, argument, outs++, out_count, value);
    } else if (index == 0) {
      // As in Python, None has to be given where there is no default: x:random_(5) is random_.to, not random_.from.
      fits =
          argument.default_value || (argument.optional && (argument.kind == Kind::unsupported || fit == Fit::keywords));
      if (argument.default_value) value = *argument.default_value;
    } else if (may_vary && index == list_position + 1 && index <= call.positional &&
               (varargs || lua_type(L, index) != LUA_TTABLE)) {
      fits = take_varargs(L, index, call.positional, fit, value);
    } else {
      fits = to_ivalue(L, index, argument, fit, value) || (op.numbers_as_tensors && argument.kind == Kind::tensor &&
                                                           take_number(L, index, slots[i == 0 ? 1 : 0], value));
    }
    if (!fits) {
      if (misfit) *misfit = &argument;
      if (misfit_index) *misfit_index = index;
      return false;
    }
  }
  if (overload.device >= 0 && stack[overload.device].isNone())
    if (const at::Device* device = default_device(L)) stack[overload.device] = *device;
  if (overload.pin_memory >= 0 && stack[overload.pin_memory].isBool() && stack[overload.pin_memory].toBool())
    tensor::load_cuda_if_usable();
  if (overload.writes >= 0) call.written = slots[overload.writes];
  return true;
}

const Overload& choose(lua_State* L, const Operator& op, Call& call, bool method, Stack& stack) {
  if (call.out && method)
    throw Error(ErrorKind::usage, op.name + "() got an unexpected keyword argument 'out'",
                public_name(op, false) + " takes it");
  const auto& overloads = call.out ? op.outs : op.overloads;
  do {
    for (const Fit fit : {Fit::exact, Fit::lenient, Fit::keywords}) {
      if (fit == Fit::keywords && call.keyword_count == 0) break;
      for (const Overload& overload : overloads)
        if (bind(L, op, overload, call, method, fit, stack)) return overload;
    }
  } while (drop_empty_table(L, call, method));
  throw_no_overload(L, op, call, method);
}

}  // namespace trainhost::bindings
