// Dtypes, layouts, memory formats and devices as Lua values.
#pragma once

#include <memory>

#include "bindings/tensor.h"

namespace trainhost::bindings {

// A plain value in a userdata: always open.
template <class T>
struct Plain {
  T value{};
  explicit operator bool() const noexcept { return true; }
};

template <>
struct Type<at::ScalarType> {
  using Handle = Plain<at::ScalarType>;
  static constexpr TypeId id = TypeId::dtype;
  static constexpr const char* name = "dtype";
  static constexpr int user_values = 0;
};

template <>
struct Type<at::Layout> {
  using Handle = Plain<at::Layout>;
  static constexpr TypeId id = TypeId::layout;
  static constexpr const char* name = "layout";
  static constexpr int user_values = 0;
};

template <>
struct Type<at::MemoryFormat> {
  using Handle = Plain<at::MemoryFormat>;
  static constexpr TypeId id = TypeId::memory_format;
  static constexpr const char* name = "memory_format";
  static constexpr int user_values = 0;
};

// Device() is not a device: Plain needs a default.
struct DeviceHandle {
  at::Device value{at::kCPU};
  explicit operator bool() const noexcept { return true; }
};

template <>
struct Type<at::Device> {
  using Handle = DeviceHandle;
  static constexpr TypeId id = TypeId::device;
  static constexpr const char* name = "device";
  static constexpr int user_values = 0;
};

// What torch.set_default_device has set in this state, or null.
const at::Device* default_device(lua_State* L);
// Sets set_default_dtype, get_default_device, finfo ... in the module table on top of the stack.
void set_default_functions(lua_State* L);
// Defines these types and sets torch.float32 ..., torch.strided ..., torch.device in the table on top.
void open_dtypes(lua_State* L);

}  // namespace trainhost::bindings
