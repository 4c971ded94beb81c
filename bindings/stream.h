// Streams and events of accelerators as Lua values.
#pragma once

#include <memory>

#include "bindings/tensor.h"

namespace c10 {
class Stream;
struct Event;
}  // namespace c10

namespace trainhost::bindings {

template <>
struct Type<c10::Stream> {
  using Handle = std::shared_ptr<c10::Stream>;
  static constexpr TypeId id = TypeId::stream;
  static constexpr const char* name = "Stream";
  static constexpr int user_values = 0;
};

template <>
struct Type<c10::Event> {
  using Handle = std::shared_ptr<c10::Event>;
  static constexpr TypeId id = TypeId::event;
  static constexpr const char* name = "Event";
  static constexpr int user_values = 0;
};

// The device at `index`, made ready to be used, with the index of the current one where none is given.
at::Device ready_device(lua_State* L, int index);

// Sets record_stream in the table of Tensor's methods on top.
void set_stream_methods(lua_State* L);
// Defines both types and sets new_stream, current_stream, new_event ... in the table on top.
void open_streams(lua_State* L);

}  // namespace trainhost::bindings
