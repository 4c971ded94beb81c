// Finalizers that Lua cannot call: its stack is full, or there is no memory for the call.
#pragma once

struct lua_State;

namespace trainhost::vm {

// Note [Lost finalizers]
// Lua's own steps of the collector run finalizers wherever the script is, also where one more call is one too many.
// Such a finalizer is never called again, and its object's memory is freed with what is in it. Lua says so in a
// warning: the collector rests then until a pcall has ended or there is room again, and who links native objects with
// one another unlinks them. Collections of NativeBytes have a coroutine of their own to run in, with all its stack
// free.

// Once per state, which then has Lua's `warn` as luaL_newstate makes it: off until warn("@on").
void open_finalizers(lua_State* L);
// Has `lost` called when a finalizer was, one function for the state: it must not touch Lua.
void on_lost_finalizer(lua_State* L, void (*lost)());
// After a pcall, or where there is room again: the collector goes on.
void wake_collector(lua_State* L) noexcept;
// Calls job(L, data), in a coroutine with a free stack if L has no room for a call. False if there is no such room.
bool call_with_room(lua_State* L, void (*job)(lua_State*, void*), void* data);

}  // namespace trainhost::vm
