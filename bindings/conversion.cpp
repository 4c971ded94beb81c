// Tensors of another dtype or on another device: to, float, cpu ...
#include "bindings/dtype.h"
#include "bindings/indexing.h"
#include "bindings/keywords.h"
#include "bindings/nested.h"
#include "bindings/tensor_type.h"

namespace trainhost::bindings {
namespace {

bool is_given(lua_State* L, int index) { return index && !lua_isnoneornil(L, index) && !is_none(L, index); }

std::optional<at::MemoryFormat> memory_format(lua_State* L, const Keywords& keywords) {
  const int index = keywords.find("memory_format");
  return is_given(L, index) ? std::optional(check<at::MemoryFormat>(L, index).value) : std::nullopt;
}

bool flag(lua_State* L, const Keywords& keywords, const char* function, const char* name) {
  const int index = keywords.find(name);
  return is_given(L, index) && check_boolean(L, index, function, name);
}

// Gives back the very value at stack 1 if nothing changed.
int push_converted(lua_State* L, const at::Tensor& self, at::Tensor result) {
  if (result.is_same(self)) lua_pushvalue(L, 1);
  else push_tensor(L, std::move(result));
  return 1;
}

// x:to(dtype), x:to(device), x:to(device, dtype), x:to(other), with non_blocking, copy, memory_format.
int tensor_to(lua_State* L) {
  constexpr const char* kName = "Tensor.to";
  const at::Tensor self = check_tensor(L, 1);
  std::optional<at::ScalarType> dtype;
  std::optional<at::Device> device;
  int next = 2;
  if (const at::Tensor* other = test_tensor(L, next)) {
    dtype = other->scalar_type();
    device = other->device();
    ++next;
  } else if (test<at::ScalarType>(L, next)) {
    dtype = check_dtype(L, next++);
  } else if (lua_type(L, next) == LUA_TSTRING || lua_isinteger(L, next) || test<at::Device>(L, next) ||
             lua_type(L, next) == LUA_TNIL || is_none(L, next)) {
    if (is_given(L, next)) device = check_device(L, next);
    ++next;
    if (test<at::ScalarType>(L, next)) dtype = check_dtype(L, next);
    if (dtype || lua_type(L, next) == LUA_TNIL || is_none(L, next)) ++next;
  }
  const Keywords keywords(L, kName, next, {"non_blocking", "copy", "dtype", "device", "memory_format"});
  if (int i = keywords.find("dtype"); is_given(L, i)) dtype = check_dtype(L, i);
  if (int i = keywords.find("device"); is_given(L, i)) device = check_device(L, i);
  const bool non_blocking = flag(L, keywords, kName, "non_blocking"), copy = flag(L, keywords, kName, "copy");
  return push_converted(
      L, self, self.to(dtype, std::nullopt, device, std::nullopt, non_blocking, copy, memory_format(L, keywords)));
}

// x:long(), x:float() ...: to with one thing fixed.
template <at::ScalarType type>
int tensor_as(lua_State* L) {
  const at::Tensor self = check_tensor(L, 1);
  if (lua_gettop(L) == 1) {
    if (self.scalar_type() == type) return 1;
    return push_tensor(L, self.to(type)), 1;
  }
  const Keywords keywords(L, "Tensor.to", 2, {"memory_format"});
  return push_converted(L, self, self.to(type, false, false, memory_format(L, keywords)));
}

int tensor_cpu(lua_State* L) {
  const at::Tensor self = check_tensor(L, 1);
  const Keywords keywords(L, "Tensor.cpu", 2, {"memory_format"});
  return push_converted(L, self,
                        self.to(at::Device(at::kCPU), self.scalar_type(), false, false, memory_format(L, keywords)));
}

int tensor_cuda(lua_State* L) {
  constexpr const char* kName = "Tensor.cuda";
  const at::Tensor self = check_tensor(L, 1);
  const Keywords keywords(L, kName, 2, {"device", "non_blocking", "memory_format"});
  const int index = keywords.find("device");
  if (!is_given(L, index)) lua_pushliteral(L, "cuda");
  const at::Device device = check_device(L, is_given(L, index) ? index : lua_gettop(L));
  if (!device.is_cuda()) throw Error(ErrorKind::device, "Tensor.cuda: Invalid device, must be cuda device");
  return push_converted(
      L, self,
      self.to(device, self.scalar_type(), flag(L, keywords, kName, "non_blocking"), false, memory_format(L, keywords)));
}

int tensor_is_contiguous(lua_State* L) {
  const at::Tensor& self = shaped_tensor(L, "is_contiguous");
  if (lua_gettop(L) == 1) return lua_pushboolean(L, self.is_contiguous()), 1;
  const Keywords keywords(L, "Tensor.is_contiguous", 2, {"memory_format"});
  return lua_pushboolean(L, self.is_contiguous(memory_format(L, keywords).value_or(at::MemoryFormat::Contiguous))), 1;
}

int tensor_contiguous(lua_State* L) {
  const at::Tensor self = check_tensor(L, 1);
  const Keywords keywords(L, "Tensor.contiguous", 2, {"memory_format"});
  return push_converted(L, self, self.contiguous(memory_format(L, keywords).value_or(at::MemoryFormat::Contiguous)));
}

}  // namespace

void set_conversion_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"to", guarded_repeatable<tensor_to>,
       "Converted to a dtype, a device, both, or as another tensor; itself if nothing changes.\n@param ... "
       "dtype|device|Tensor\n@param non_blocking? boolean false\n@param copy? boolean false\n@param memory_format? "
       "memory_format\n@return Tensor"
       "\n@example torch.tensor{1, 2}:to(torch.float32)  --> tensor([1., 2.])"},
      {"float", guarded_repeatable<tensor_as<at::kFloat>>,
       "As float32.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{1, 2}:float()  --> tensor([1., 2.])"},
      {"double", guarded_repeatable<tensor_as<at::kDouble>>,
       "As float64.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):double().dtype  --> torch.float64"},
      {"half", guarded_repeatable<tensor_as<at::kHalf>>,
       "As float16.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):half().dtype  --> torch.float16"},
      {"bfloat16", guarded_repeatable<tensor_as<at::kBFloat16>>,
       "As bfloat16.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):bfloat16().dtype  --> torch.bfloat16"},
      {"int", guarded_repeatable<tensor_as<at::kInt>>,
       "As int32.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{1.5}:int()  --> tensor([1], dtype=torch.int32)"},
      {"long", guarded_repeatable<tensor_as<at::kLong>>,
       "As int64.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{1.5}:long()  --> tensor([1])"},
      {"short", guarded_repeatable<tensor_as<at::kShort>>,
       "As int16.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{1.5}:short()  --> tensor([1], dtype=torch.int16)"},
      {"char", guarded_repeatable<tensor_as<at::kChar>>,
       "As int8.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{-1.5}:char()  --> tensor([-1], dtype=torch.int8)"},
      {"byte", guarded_repeatable<tensor_as<at::kByte>>,
       "As uint8.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{1., 2.5}:byte()  --> tensor([1, 2], dtype=torch.uint8)"},
      {"bool", guarded_repeatable<tensor_as<at::kBool>>,
       "As bool.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.tensor{0, 2}:bool()  --> tensor([False,  True])"},
      {"cfloat", guarded_repeatable<tensor_as<at::kComplexFloat>>,
       "As complex64.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):cfloat()  --> tensor([1.+0.j])"},
      {"cdouble", guarded_repeatable<tensor_as<at::kComplexDouble>>,
       "As complex128.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):cdouble().dtype  --> torch.complex128"},
      {"chalf", guarded_repeatable<tensor_as<at::kComplexHalf>>,
       "As complex32.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):chalf().dtype  --> torch.complex32"},
      {"cpu", guarded_repeatable<tensor_cpu>,
       "On the CPU.\n@param memory_format? memory_format\n@return Tensor"
       "\n@example torch.ones(1):cpu().device  --> cpu"},
      {"cuda", guarded_repeatable<tensor_cuda>,
       "On a CUDA device.\n@param device? device|integer the current one\n@param non_blocking? boolean false\n@return "
       "Tensor"
       "\n@example if torch.cuda.is_available() then test.truthy(torch.ones(1):cuda().is_cuda) end"},
      {"is_contiguous", guarded<tensor_is_contiguous>,
       "Is it laid out row by row, or in another memory format?\n@param memory_format? memory_format\n@return boolean"
       "\n@example torch.ones(2, 3):t():is_contiguous()  --> false"},
      {"contiguous", guarded_repeatable<tensor_contiguous>,
       "Laid out row by row, or in another memory format; itself if it is.\n@param memory_format? "
       "memory_format\n@return Tensor"
       "\n@example torch.ones(2, 3):t():contiguous():stride()  --> {2, 1}"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
