// Streams and events through c10's device-neutral guard.
#include "bindings/stream.h"

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "bindings/keywords.h"
#include "bindings/tensor.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {
namespace {

using c10::Event;
using c10::Stream;
using c10::impl::VirtualGuardImpl;

void push_stream(lua_State* L, const Stream& stream) { push<Stream>(L, std::make_shared<Stream>(stream)); }

Stream current_stream_of(at::DeviceType type) {
  const VirtualGuardImpl guard(type);
  return guard.getStream(guard.getDevice());
}

// The stream at `index`, or the current one of `type`.
Stream stream_or_current(lua_State* L, int index, at::DeviceType type) {
  return lua_isnoneornil(L, index) ? current_stream_of(type) : *check<Stream>(L, index);
}

// --- Streams

int stream_query(lua_State* L) { return lua_pushboolean(L, check<Stream>(L, 1)->query()), 1; }
int stream_synchronize(lua_State* L) { return check<Stream>(L, 1)->synchronize(), 0; }

int stream_wait_event(lua_State* L) {
  check<Event>(L, 2)->block(*check<Stream>(L, 1));
  return 0;
}

int stream_wait_stream(lua_State* L) {
  const Stream& other = *check<Stream>(L, 2);
  Event event(other.device_type());
  event.record(other);
  event.block(*check<Stream>(L, 1));
  return 0;
}

int stream_record_event(lua_State* L) {
  const Stream& stream = *check<Stream>(L, 1);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    push<Event>(L, std::make_shared<Event>(stream.device_type()));
  }
  check<Event>(L, 2)->record(stream);
  lua_settop(L, 2);
  return 1;
}

int stream_equal(lua_State* L) {
  const auto *a = test<Stream>(L, 1), *b = test<Stream>(L, 2);
  lua_pushboolean(L, a && b && *a && *b && **a == **b);
  return 1;
}

int stream_tostring(lua_State* L) {
  const Stream& stream = *check<Stream>(L, 1);
  lua_pushfstring(L, "torch.Stream device_type=%s, device_index=%d, stream_id=%I",
                  c10::DeviceTypeName(stream.device_type(), true).c_str(), static_cast<int>(stream.device_index()),
                  static_cast<LUAI_UACINT>(stream.id()));
  return 1;
}

// Upvalue of both: the methods.
bool push_method(lua_State* L) {
  lua_pushvalue(L, 2);
  return lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL;
}

int stream_index(lua_State* L) {
  const Stream& stream = *check<Stream>(L, 1);
  if (push_method(L)) return 1;
  const std::string_view name = luaL_checkstring(L, 2);
  if (name == "device") push_device(L, stream.device());
  else if (name == "device_index") lua_pushinteger(L, stream.device_index());
  else if (name == "device_type") lua_pushstring(L, c10::DeviceTypeName(stream.device_type(), true).c_str());
  else if (name == "stream_id") lua_pushinteger(L, stream.id());
  else throw_usage("a Stream has no method or attribute '" + std::string(name) + "'");
  return 1;
}

// --- Events

int event_record(lua_State* L) {
  Event& event = *check<Event>(L, 1);
  event.record(stream_or_current(L, 2, event.device_type()));
  return 0;
}

int event_wait(lua_State* L) {
  const Event& event = *check<Event>(L, 1);
  event.block(stream_or_current(L, 2, event.device_type()));
  return 0;
}

int event_query(lua_State* L) { return lua_pushboolean(L, check<Event>(L, 1)->query()), 1; }
int event_synchronize(lua_State* L) { return check<Event>(L, 1)->synchronize(), 0; }

int event_elapsed_time(lua_State* L) {
  lua_pushnumber(L, check<Event>(L, 1)->elapsedTime(*check<Event>(L, 2)));
  return 1;
}

int event_index(lua_State* L) {
  const Event& event = *check<Event>(L, 1);
  if (push_method(L)) return 1;
  const std::string_view name = luaL_checkstring(L, 2);
  if (name == "device") push_device(L, event.device());
  else if (name == "event_id") lua_pushinteger(L, reinterpret_cast<lua_Integer>(event.eventId()));
  else throw_usage("an Event has no method or attribute '" + std::string(name) + "'");
  return 1;
}

// --- Functions

int new_stream(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  const lua_Integer priority = lua_isnoneornil(L, 2) ? 0 : check_integer(L, 2, "torch.Stream", "priority");
  push_stream(L, VirtualGuardImpl(device.type()).getNewStream(device, static_cast<int>(priority)));
  return 1;
}

int current_stream(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  return push_stream(L, VirtualGuardImpl(device.type()).getStream(device)), 1;
}

int default_stream(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  return push_stream(L, VirtualGuardImpl(device.type()).getDefaultStream(device)), 1;
}

// native.device.set_stream(stream) -> the stream of its device before
int set_stream(lua_State* L) {
  const Stream stream = *check<Stream>(L, 1);
  return push_stream(L, VirtualGuardImpl(stream.device_type()).exchangeStream(stream)), 1;
}

// native.device.new_event(type, enable_timing)
int new_event(lua_State* L) {
  const at::Device device = check_device(L, 1);
  if (device.is_cuda()) tensor::require_cuda();
  const auto flag = lua_toboolean(L, 2) ? c10::EventFlag::BACKEND_DEFAULT : c10::EventFlag::PYTORCH_DEFAULT;
  push<Event>(L, std::make_shared<Event>(device.type(), flag));
  return 1;
}

// Tensor.record_stream(s)
int record_stream(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  const Keywords keywords(L, "Tensor.record_stream", 2, {"s"});
  const int s = keywords.find("s");
  if (!s) throw_usage("record_stream() missing 1 required positional arguments: \"s\"");
  const auto* stream = test<Stream>(L, s);
  if (!stream || !*stream) throw_argument(L, "Tensor.record_stream", "s", "a Stream", s);
  tensor.record_stream(**stream);
  return 0;
}

// Gives the type, whose metatable is there, `methods` and an __index that knows them.
void set_index(lua_State* L, TypeId id, const Row* methods, lua_CFunction index) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(id));
  lua_newtable(L);
  set_functions(L, methods);
  lua_pushcclosure(L, index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace

at::Device ready_device(lua_State* L, int index) {
  const at::Device device = check_device(L, index);
  if (device.is_cuda()) tensor::require_cuda();
  return device.has_index() ? device : VirtualGuardImpl(device.type()).getDevice();
}

void set_stream_methods(lua_State* L) {
  static constexpr Row kMethods[] = {
      {"record_stream", guarded<record_stream>,
       "Says that work in this stream uses the tensor: once it is dropped, its memory is given to others only after "
       "the "
       "work that the stream has by then. For a tensor of another stream than the one that it was made in.\n@param s "
       "Stream"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kMethods);
}

void open_streams(lua_State* L) {
  static constexpr Row kStream[] = {
      {"query", guarded<stream_query>, "Is all its work done?\n@return boolean"},
      {"synchronize", guarded<stream_synchronize>, "Waits for all its work."},
      {"wait_event", guarded<stream_wait_event>, "Its later work waits for an event.\n@param event Event"},
      {"wait_stream", guarded<stream_wait_stream>, "Its later work waits for another stream.\n@param stream Stream"},
      {"record_event", guarded<stream_record_event>,
       "Records an event, or a new one.\n@param event? Event\n@return Event"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kEvent[] = {
      {"record", guarded<event_record>, "Records it in a stream.\n@param stream? Stream the current one"},
      {"wait", guarded<event_wait>, "A stream's later work waits for it.\n@param stream? Stream the current one"},
      {"query", guarded<event_query>, "Is all work before it done?\n@return boolean"},
      {"synchronize", guarded<event_synchronize>, "Waits for all work before it."},
      {"elapsed_time", guarded<event_elapsed_time>,
       "Milliseconds from this event to a later one; both with enable_timing.\n@param end_event Event\n@return number"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kStreamMeta[] = {{"__eq", guarded<stream_equal>, nullptr},
                                        {"__tostring", guarded<stream_tostring>, nullptr},
                                        {nullptr, nullptr, nullptr}};
  static constexpr Row kFunctions[] = {
      {"new_stream", guarded<new_stream>, "@param device device\n@param priority? integer 0\n@return Stream"},
      {"current_stream", guarded<current_stream>, "@param device device\n@return Stream"},
      {"default_stream", guarded<default_stream>, "@param device device\n@return Stream"},
      {"set_stream", guarded<set_stream>, "@param stream Stream\n@return Stream the one before"},
      {"new_event", guarded<new_event>, "@param device device\n@param enable_timing? boolean\n@return Event"},
      {nullptr, nullptr, nullptr}};
  define<Stream>(L, nullptr, kStreamMeta);
  define<Event>(L, nullptr, nullptr);
  set_index(L, TypeId::stream, kStream, guarded<stream_index>);
  set_index(L, TypeId::event, kEvent, guarded<event_index>);
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
