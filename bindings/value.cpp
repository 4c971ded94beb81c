// From Lua values to what operators take, by schema type.
#include "bindings/value.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/Generator.h>
#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>

#include <cmath>
#include <limits>

#include "bindings/complex.h"
#include "bindings/dtype.h"
#include "bindings/generator.h"
#include "bindings/indexing.h"
#include "bindings/size.h"

namespace trainhost::bindings {
namespace {

using c10::IValue;
using tensor::Argument;
using tensor::Kind;

// Inside vmap or grad a tensor has no number to give: asking for it would fail while overloads are being compared.
bool is_transformed(const at::Tensor& tensor) {
  return tensor.unsafeGetTensorImpl()->key_set().has_any(
      c10::DispatchKeySet({c10::DispatchKey::FuncTorchBatched, c10::DispatchKey::FuncTorchGradWrapper}));
}

// A tensor that PyTorch takes for a number.
const at::Tensor* number_like(lua_State* L, int index) {
  const at::Tensor* tensor = test_tensor(L, index);
  return tensor && tensor->dim() == 0 && !tensor->requires_grad() && !is_transformed(*tensor) ? tensor : nullptr;
}

bool to_real(lua_State* L, int index, double& out) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    out = lua_tonumber(L, index);
    return true;
  }
  const at::Tensor* tensor = number_like(L, index);
  if (!tensor || tensor->is_complex()) return false;
  out = tensor->item().toDouble();
  return true;
}

// Calls take(i) with the i-th element (from 0) on top of the stack; false as soon as one does not fit.
template <class Take>
bool each(lua_State* L, int index, Take take) {
  if (!lua_istable(L, index)) return false;
  lua_Integer size = static_cast<lua_Integer>(lua_rawlen(L, index));
  if (size == 0) {
    unwrap_size(L, index);
    size = static_cast<lua_Integer>(lua_rawlen(L, index));
  }
  if (size == 0) {
    lua_pushnil(L);
    if (lua_next(L, index)) {  // a table with string keys only is no list
      lua_pop(L, 2);
      return false;
    }
  }
  if (size > 0) refuse_other_keys(L, index, size);
  for (lua_Integer i = 0; i < size; ++i) {
    lua_rawgeti(L, index, i + 1);
    const bool fits = take(i);
    lua_pop(L, 1);
    if (!fits) return false;
  }
  return true;
}

// One list of the elements that take(L, index, list) adds, each at the top of the stack.
template <class List, class Take>
bool collect(lua_State* L, int index, IValue& out, Take take) {
  List values;
  if (!each(L, index, [&](lua_Integer) { return take(lua_gettop(L), values); })) return false;
  out = std::move(values);
  return true;
}

bool to_list(lua_State* L, int index, const Argument& argument, Fit fit, IValue& out) {
  const bool repeats = argument.length > 0 && lua_type(L, index) == LUA_TNUMBER;  // int[2] kernel_size = 3
  const auto length = static_cast<size_t>(repeats ? argument.length : 0);
  switch (argument.kind) {
    case Kind::integers: {
      int64_t value = 0;
      if (repeats) {
        if (!to_integer(L, index, fit, value)) return false;
        out = std::vector<int64_t>(length, value);
        return true;
      }
      return collect<std::vector<int64_t>>(L, index, out, [&](int i, auto& values) {
        if (!to_integer(L, i, fit, value)) return false;
        values.push_back(value);
        return true;
      });
    }
    case Kind::reals: {
      if (repeats) {
        out = std::vector<double>(length, lua_tonumber(L, index));
        return true;
      }
      return collect<std::vector<double>>(L, index, out, [&](int i, auto& values) {
        double value = 0;
        if (!to_real(L, i, value)) return false;
        values.push_back(value);
        return true;
      });
    }
    case Kind::booleans:
      return collect<c10::List<bool>>(L, index, out, [&](int i, auto& values) {
        if (!lua_isboolean(L, i)) return false;
        values.push_back(lua_toboolean(L, i));
        return true;
      });
    case Kind::scalars:
      return collect<c10::List<at::Scalar>>(L, index, out, [&](int i, auto& values) {
        const auto scalar = to_scalar(L, i);
        if (scalar) values.push_back(*scalar);
        return scalar.has_value();
      });
    case Kind::tensors:
      return collect<c10::List<at::Tensor>>(L, index, out, [&](int i, auto& values) {
        const at::Tensor* tensor = test_tensor(L, i);
        if (tensor) values.push_back(*tensor);
        return tensor != nullptr;
      });
    case Kind::optional_tensors:
      return collect<c10::List<std::optional<at::Tensor>>>(L, index, out, [&](int i, auto& values) {
        const at::Tensor* tensor = test_tensor(L, i);
        if (tensor) values.push_back(*tensor);
        else if (is_none(L, i)) values.push_back(std::nullopt);
        else return false;
        return true;
      });
    case Kind::strings:
      return collect<c10::List<std::string>>(L, index, out, [&](int i, auto& values) {
        if (lua_type(L, i) != LUA_TSTRING) return false;
        values.push_back(lua_tostring(L, i));
        return true;
      });
    default:
      return false;
  }
}

}  // namespace

bool to_integer(lua_State* L, int index, Fit fit, int64_t& out) {
  if (lua_isinteger(L, index)) {
    out = lua_tointeger(L, index);
    return true;
  }
  if (lua_type(L, index) == LUA_TNUMBER) {
    int exact = 0;
    out = fit == Fit::exact ? 0 : lua_tointegerx(L, index, &exact);
    return exact != 0;
  }
  const at::Tensor* tensor = test_tensor(L, index);
  if (!tensor || tensor->numel() != 1 || tensor->requires_grad() || is_transformed(*tensor) ||
      !at::isIntegralType(tensor->scalar_type(), /*includeBool=*/false))
    return false;
  out = tensor->item().toLong();
  return true;
}

std::optional<at::Scalar> to_scalar(lua_State* L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) return at::Scalar(static_cast<int64_t>(lua_tointeger(L, index)));
      return at::Scalar(static_cast<double>(lua_tonumber(L, index)));
    case LUA_TBOOLEAN:
      return at::Scalar(lua_toboolean(L, index) != 0);
    case LUA_TUSERDATA:
      if (const auto* number = test<Complex>(L, index)) return at::Scalar(c10::complex<double>(number->value));
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

at::Tensor number_tensor(const at::Scalar& scalar, const at::Tensor* beside) {
  // PyTorch makes float64 or int64 of it, which TensorIterator then casts to the other operand's dtype in a dispatch of
  // its own (x * 2.0: 2.1 us against 1.1): the same value is cast here where that is exact or rounds once.
  constexpr int64_t kExact = int64_t{1} << 24;
  const at::ScalarType type = beside ? beside->scalar_type() : at::kLong;
  const bool castable = scalar.isFloatingPoint()
                            ? !(std::abs(scalar.toDouble()) > std::numeric_limits<float>::max())
                            : scalar.isIntegral(/*includeBool=*/false) && std::abs(scalar.toDouble()) <= kExact;
  at::Tensor tensor = castable && (type == at::kFloat || type == at::kDouble)
                          ? at::detail::scalar_tensor_static(scalar, type, at::kCPU)
                          : c10::scalar_to_tensor(scalar);
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

bool to_ivalue(lua_State* L, int index, const Argument& argument, Fit fit, IValue& out) {
  const int type = lua_type(L, index);
  if (argument.kind == Kind::tensor && type == LUA_TUSERDATA) {  // the hot case
    if (const TensorHandle* handle = test<at::Tensor>(L, index)) {
      if (!handle->tensor.defined()) raise_closed("Tensor", argument.name);
      out = handle->tensor;
      return true;
    }
  }
  if (type == LUA_TNIL || type == LUA_TNONE || (type == LUA_TUSERDATA && is_none(L, index))) {
    if (argument.optional) out = IValue();
    else if (argument.default_value) out = *argument.default_value;
    else return false;
    return true;
  }
  switch (argument.kind) {
    case Kind::tensor:
      return false;
    case Kind::scalar: {
      if (const auto scalar = to_scalar(L, index)) {
        out = *scalar;
        return true;
      }
      const at::Tensor* tensor = number_like(L, index);
      if (tensor) out = tensor->item();
      return tensor != nullptr;
    }
    case Kind::integer: {
      int64_t value = 0;
      if (!to_integer(L, index, fit, value)) return false;
      out = value;
      return true;
    }
    case Kind::real: {
      double value = 0;
      if (!to_real(L, index, value)) return false;
      out = value;
      return true;
    }
    case Kind::boolean:
      if (type != LUA_TBOOLEAN) return false;
      out = lua_toboolean(L, index) != 0;
      return true;
    case Kind::string: {
      if (type != LUA_TSTRING) return false;
      size_t size = 0;
      const char* text = lua_tolstring(L, index, &size);
      out = std::string(text, size);
      return true;
    }
    case Kind::dtype: {
      const auto* dtype = test<at::ScalarType>(L, index);
      if (dtype) out = static_cast<int64_t>(dtype->value);
      return dtype != nullptr;
    }
    case Kind::layout: {
      const auto* layout = test<at::Layout>(L, index);
      if (layout) out = static_cast<int64_t>(layout->value);
      return layout != nullptr;
    }
    case Kind::memory_format: {
      const auto* format = test<at::MemoryFormat>(L, index);
      if (format) out = static_cast<int64_t>(format->value);
      return format != nullptr;
    }
    case Kind::device:
      if (type != LUA_TSTRING && !lua_isinteger(L, index) && !test<at::Device>(L, index)) return false;
      out = check_device(L, index);
      return true;
    case Kind::generator: {
      const auto* generator = test<at::Generator>(L, index);
      if (generator) out = **generator;
      return generator != nullptr;
    }
    case Kind::nested:
      return to_nested(L, index, *argument.type, fit, out);
    case Kind::unsupported:
      return false;
    default:
      return to_list(L, index, argument, fit, out);
  }
}

}  // namespace trainhost::bindings
