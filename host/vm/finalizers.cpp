// The warnings of a state, among them those of finalizers that could not be called, and room for collections.
#include "host/vm/finalizers.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <lua.hpp>
#include <new>
#include <string_view>

namespace trainhost::vm {
namespace {

const char kWarnings = 0, kSpare = 0;  // their addresses are registry keys

struct Warnings {
  lua_State* main = nullptr;
  bool on = false, begun = false, resting = false;
  void (*lost)() = nullptr;
  std::array<char, 128> text{};  // how the message begins
  size_t size = 0;
};

// "error in __gc (C stack overflow)": was the finalizer not called at all?
bool tells_of_loss(std::string_view text) {
  if (!text.starts_with("error in __gc")) return false;
  for (const std::string_view reason : {"stack overflow", "not enough memory", "error in error handling"})
    if (text.find(reason) != std::string_view::npos) return true;
  return false;
}

void warn(void* data, const char* piece, int to_continue) {
  auto& warnings = *static_cast<Warnings*>(data);
  const std::string_view text = piece;
  if (!warnings.begun && !to_continue && text.starts_with('@')) {
    if (text == "@on") warnings.on = true;
    if (text == "@off") warnings.on = false;
    return;
  }
  if (warnings.on)
    std::fprintf(stderr, "%s%s%s", warnings.begun ? "" : "Lua warning: ", piece, to_continue ? "" : "\n");
  warnings.begun = to_continue != 0;
  const size_t count = std::min(text.size(), warnings.text.size() - warnings.size);
  std::copy_n(piece, count, warnings.text.data() + warnings.size);
  warnings.size += count;
  if (to_continue) return;
  if (tells_of_loss({warnings.text.data(), warnings.size})) {
    warnings.resting = true;
    lua_gc(warnings.main, LUA_GCSTOP);
    if (warnings.lost) warnings.lost();
  }
  warnings.size = 0;
}

Warnings* warnings_of(lua_State* L) {
  if (!lua_checkstack(L, 1)) return nullptr;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kWarnings);
  auto* warnings = static_cast<Warnings*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return warnings;
}

bool has_room(lua_State* L) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return false;
  lua_pushcfunction(L, [](lua_State*) { return 0; });
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

struct Job {
  void (*run)(lua_State*, void*);
  void* data;
};

int run_job(lua_State* L) {
  const auto& job = *static_cast<Job*>(lua_touserdata(L, 1));
  job.run(L, job.data);
  return 0;
}

}  // namespace

void open_finalizers(lua_State* L) {
  void* memory = lua_newuserdatauv(L, sizeof(Warnings), 0);
  auto* warnings = new (memory) Warnings;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  warnings->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kWarnings);
  lua_setwarnf(L, warn, warnings);
  lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSpare);
}

void on_lost_finalizer(lua_State* L, void (*lost)()) {
  if (Warnings* warnings = warnings_of(L)) warnings->lost = lost;
}

void wake_collector(lua_State* L) noexcept {
  Warnings* warnings = warnings_of(L);
  if (!warnings || !warnings->resting) return;
  warnings->resting = false;
  lua_gc(L, LUA_GCRESTART);
}

bool call_with_room(lua_State* L, void (*job)(lua_State*, void*), void* data) {
  if (has_room(L)) {
    wake_collector(L);
    job(L, data);
    return true;
  }
  if (!lua_checkstack(L, 1)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSpare);
  lua_State* spare = lua_tothread(L, -1);
  lua_pop(L, 1);
  if (!spare || lua_status(spare) != LUA_OK || lua_gettop(spare) != 0 || !lua_checkstack(spare, 4)) return false;
  Job work{job, data};
  lua_pushcfunction(spare, run_job);
  lua_pushlightuserdata(spare, &work);
  int results = 0;
  // Not from L: the count of nested C calls begins anew.
  if (lua_resume(spare, nullptr, 1, &results) != LUA_OK) {
    lua_resetthread(spare);
    lua_settop(spare, 0);
  }
  return true;
}

}  // namespace trainhost::vm
