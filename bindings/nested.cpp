// Nested tables to tensors.
#include "bindings/nested.h"

#include <ATen/ops/empty.h>
#include <c10/core/DefaultDtype.h>

#include <cmath>
#include <complex>
#include <cstring>

#include "bindings/complex.h"
#include "bindings/size.h"
#include "bindings/value.h"
#include "host/tensor/fresh.h"

namespace trainhost::bindings {
namespace {

constexpr int kMostDims = 128;  // as torch/csrc/utils/tensor_new.cpp

// What the numbers of a nested table are, in the order of type promotion.
enum class Found { nothing, boolean, integer, real, complex };

struct Reader {
  lua_State* L;
  const char* what;
  std::vector<int64_t> sizes{};
  std::vector<double> reals{};
  std::vector<int64_t> integers{};
  std::vector<double> imaginary{};  // empty until there is a complex number, then as long as the others
  Found found = Found::nothing;

  void measure(int index) {
    while (lua_istable(L, index)) {
      const int64_t size = list_length(L, index);
      sizes.push_back(size);
      if (sizes.size() > kMostDims)
        throw Error(ErrorKind::shape, std::string(what) + ": more than " + std::to_string(kMostDims) +
                                          " dimensions (a table inside itself?)");
      if (size == 0) return;
      luaL_checkstack(L, 8, "nested table");
      push_list_item(L, index, 1);
      index = lua_gettop(L);
    }
  }

  void read(int index, size_t dim) {
    if (dim == sizes.size()) {
      read_number(index);
      return;
    }
    const auto fail = [&](const std::string& got) {
      throw Error(ErrorKind::shape, std::string(what) + ": expected sequence of length " + std::to_string(sizes[dim]) +
                                        " at dim " + std::to_string(dim) + " (got " + got + ")");
    };
    if (!lua_istable(L, index)) fail(describe(L, index));
    const int64_t size = list_length(L, index);
    if (size != sizes[dim] && sizes.back() != 0) fail(std::to_string(size));
    if (lua_rawlen(L, index) > 0 || size == 0) refuse_other_keys(L, index, size);  // a torch.Size has none
    luaL_checkstack(L, 8, "nested table");
    for (int64_t i = 1; i <= std::min(size, sizes[dim]); ++i) {
      push_list_item(L, index, i);
      read(lua_gettop(L), dim + 1);
      lua_pop(L, 1);
    }
  }

  void add(Found kind, const at::Scalar& value) {
    found = std::max(found, kind);
    const bool complex = kind == Found::complex;
    if (complex) imaginary.resize(reals.size());
    const std::complex<double> number(complex ? static_cast<std::complex<double>>(value.toComplexDouble())
                                              : std::complex<double>(value.toDouble()));
    reals.push_back(number.real());
    integers.push_back(kind <= Found::integer ? value.toLong() : 0);
    if (complex || !imaginary.empty()) imaginary.push_back(number.imag());
  }

  void read_number(int index) {
    const at::Tensor* tensor = test_tensor(L, index);
    if (!tensor) {
      if (const auto value = to_scalar(L, index)) return add(kind_of(*value), *value);
    } else if (tensor->numel() == 1) {  // torch.tensor{x:sum(), y:sum()}
      const at::Scalar value = tensor->item();
      return add(kind_of(value), value);
    }
    if (lua_istable(L, index)) throw_usage(std::string(what) + ": numbers and tables mixed");
    throw_usage(std::string(what) + ": expected numbers, booleans or nested tables of them, got " + describe(L, index));
  }

  static Found kind_of(const at::Scalar& value) {
    return value.isComplex()         ? Found::complex
           : value.isFloatingPoint() ? Found::real
           : value.isBoolean()       ? Found::boolean
                                     : Found::integer;
  }

  at::ScalarType natural() const {
    const at::ScalarType real = c10::get_default_dtype_as_scalartype();
    switch (found) {
      case Found::boolean:
        return at::kBool;
      case Found::integer:
        return at::kLong;
      case Found::complex:
        return at::toComplexType(real);
      default:
        return real;
    }
  }

  // All that was read, in the widest type of its kind.
  at::Tensor wide() const {
    const bool whole = found == Found::boolean || found == Found::integer;
    at::Tensor tensor = at::empty(sizes, at::TensorOptions(found == Found::complex ? at::kComplexDouble
                                                           : whole                 ? at::kLong
                                                                                   : at::kDouble));
    if (found == Found::complex) {
      auto* to = tensor.mutable_data_ptr<c10::complex<double>>();
      for (size_t i = 0; i < reals.size(); ++i) to[i] = {reals[i], imaginary[i]};
    } else if (tensor.numel() > 0) {
      std::memcpy(tensor.mutable_data_ptr(), whole ? static_cast<const void*>(integers.data()) : reals.data(),
                  tensor.nbytes());
    }
    return tensor;
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
    throw Error(ErrorKind::dtype, "value " + std::to_string(number) + " cannot be converted to type " +
                                      dtype_name(type) + " without overflow");
  }
}

}  // namespace

at::Tensor nested_to_tensor(lua_State* L, int index, std::optional<at::ScalarType> dtype, const char* what) {
  if (const at::Tensor* tensor = test_tensor(L, index)) {
    at::Tensor copy = tensor->detach().clone();
    return dtype ? copy.to(*dtype) : copy;
  }
  Reader reader{L, what};
  const int top = lua_gettop(L);
  reader.measure(index);
  lua_settop(L, top);
  reader.read(index, 0);
  if (dtype && at::isIntegralType(*dtype, /*includeBool=*/false)) {
    if (reader.found >= Found::real) check_range(reader.reals, *dtype);
    else check_range(reader.integers, *dtype);
  }
  if (dtype && reader.found == Found::complex && !at::isComplexType(*dtype))
    throw Error(ErrorKind::dtype, std::string(what) + ": must be real number, not complex");
  return tensor::lifted(tensor::below_transforms([&] { return reader.wide().to(dtype.value_or(reader.natural())); }));
}

}  // namespace trainhost::bindings
