// Native values as userdata: made, checked and closed in one way for every type.
#pragma once

#include <lua.hpp>
#include <new>
#include <string>
#include <utility>

#include "bindings/guard.h"
#include "host/vm/state.h"

namespace trainhost::bindings {

using vm::TypeId;

// Each bound type specialises this: `using Handle = ...;` (what the userdata holds: a std::shared_ptr, an
// at::Tensor; a Handle that is empty when default constructed and tests true when it holds something),
// `static constexpr TypeId id`, `static constexpr const char* name` (as the user sees it: "Tensor"),
// `static constexpr int user_values` (how many Lua values travel with it).
template <class T>
struct Type;

// Pushes a userdata that holds `handle`. Lua may raise an out-of-memory error first: `handle` is then
// destroyed by its own scope, nothing leaks (allocate empty, set the metatable, construct last).
template <class T>
typename Type<T>::Handle& push(lua_State* L, typename Type<T>::Handle handle) {
  using Handle = typename Type<T>::Handle;
  void* block = lua_newuserdatauv(L, sizeof(Handle), Type<T>::user_values);
  auto* object = new (block) Handle();
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(Type<T>::id));
  lua_setmetatable(L, -2);
  *object = std::move(handle);
  return *object;
}

// The handle at `index` if it is a T (open or closed), else null. One metatable pointer comparison.
template <class T>
typename Type<T>::Handle* test(lua_State* L, int index) noexcept {
  if (!lua_getmetatable(L, index)) return nullptr;
  const void* metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  if (metatable != vm::State::of(L).metatable(Type<T>::id)) return nullptr;
  return static_cast<typename Type<T>::Handle*>(lua_touserdata(L, index));
}

// What errors about a closed value say besides.
inline constexpr char kClosedHint[] = "it was freed by x:free() or the end of its torch.scope or <close> variable";

// argument: its name, where it is one of several.
[[noreturn]] void raise_closed(const char* type, const std::string& argument = {});
[[noreturn]] void raise_not_a(lua_State* L, const char* type, int index);

// The open handle at `index`; a usage error for another type or after close.
template <class T>
typename Type<T>::Handle& check(lua_State* L, int index) {
  auto* object = test<T>(L, index);
  if (!object) raise_not_a(L, Type<T>::name, index);
  if (!static_cast<bool>(*object)) raise_closed(Type<T>::name);
  return *object;
}

// `__gc`, `__close` and `close`-like methods: the handle is empty from then on, and needs no destructor. A `__gc` of
// the script may still reach a value that was collected: it is closed.
template <class T>
int close(lua_State* L) {
  if (auto* object = test<T>(L, 1)) *object = typename Type<T>::Handle();
  return 0;
}

// Defines the type in this state: a locked metatable with `metamethods`, `__name`, `__gc`, `__close` and,
// unless `metamethods` has its own `__index`, a methods table. Leaves nothing on the stack.
// Call once per state, from the module's opener.
void define(lua_State* L, TypeId id, const char* name, lua_CFunction gc, lua_CFunction close, const Row* methods,
            const Row* metamethods);

template <class T>
void define(lua_State* L, const Row* methods, const Row* metamethods) {
  define(L, Type<T>::id, Type<T>::name, &close<T>, &close<T>, methods, metamethods);
}

// A type whose objects are values: nothing ends with a scope, so they have no `__close`.
template <class T>
void define_value(lua_State* L, const Row* metamethods) {
  define(L, Type<T>::id, Type<T>::name, &close<T>, nullptr, nullptr, metamethods);
}

}  // namespace trainhost::bindings
