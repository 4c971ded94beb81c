// References in a table of the registry, and calls from C++ into Lua.
#include "bindings/reference.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "bindings/lending.h"
#include "host/vm/errors.h"

namespace trainhost::bindings {
namespace {

std::atomic<int> live{0};

void release(lua_State* L, Alive& alive, int id, bool watched) {
  if (!lua_checkstack(L, 4)) return;  // a leak, where Lua has no memory for four slots
  push_values(L);
  luaL_unref(L, -1, id);
  lua_pop(L, 1);
  alive.serials[static_cast<size_t>(id)] = 0;
  if (watched) unwatch(L, alive, id);
}

// collectgarbage() and collectgarbage("collect"), the rest as it was (upvalue 1).
int collect_garbage(lua_State* L) {
  if (lua_isnoneornil(L, 1) || (lua_type(L, 1) == LUA_TSTRING && std::string_view(lua_tostring(L, 1)) == "collect")) {
    vm::State::of(L).native_bytes().collect(L);
    lua_pushinteger(L, 0);
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// A table that was thrown arrives as it is.
int keep_tables(lua_State* L) {
  if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__name") == LUA_TNIL) return 1;
  lua_settop(L, 1);
  return vm::message_handler(L);
}

struct Job {
  void (*run)(lua_State*, void*);
  void* data;
  std::exception_ptr failure;
};

struct Failure {
  std::shared_ptr<const Reference> value;
  std::optional<Error> error;
};

// (error value, Failure*), to be called protected: what it needs may not be there, and no Lua error crosses autograd.
int read_failure(lua_State* L) {
  auto& failure = *static_cast<Failure*>(lua_touserdata(L, 2));
  lua_settop(L, 1);
  try {
    failure.value = std::make_shared<const Reference>(L, 1);
    const bool plain = lua_istable(L, 1) && luaL_getmetafield(L, 1, "__name") == LUA_TNIL;
    lua_settop(L, 1);
    failure.error = plain ? Error(ErrorKind::usage, "error value of type table") : vm::pop_error(L);
  } catch (const std::exception&) {  // Lua's own throw is none
  }
  return 0;
}

int run_job(lua_State* L) {
  auto& job = *static_cast<Job*>(lua_touserdata(L, 1));
  lua_remove(L, 1);
  try {
    job.run(L, job.data);
  } catch (const std::exception&) {  // Lua's own throw is none
    job.failure = std::current_exception();
    lua_settop(L, 0);
  }
  return lua_gettop(L);
}

}  // namespace

Reference::Reference(lua_State* L, int index) : alive_(alive_of(L)) {
  luaL_checkstack(L, 3, "reference");
  index = lua_absindex(L, index);
  push_values(L);
  const size_t ids = lua_rawlen(L, -1) + 2;  // before there is one that would have to be given back
  if (alive_->serials.size() < ids) alive_->serials.resize(ids);
  lua_pushvalue(L, index);
  id_ = luaL_ref(L, -2);
  lua_pop(L, 1);
  alive_->serials[static_cast<size_t>(id_)] = ++alive_->made;
  live.fetch_add(1, std::memory_order_relaxed);
}

Reference::~Reference() {
  live.fetch_sub(1, std::memory_order_relaxed);
  std::lock_guard lock(alive_->mutex);
  if (!alive_->state) return;
  vm::Interrupts& interrupts = alive_->state->interrupts();
  if (interrupts.on_own_thread()) {
    release(alive_->state->lua(), *alive_, id_, watched_);
    return;
  }
  interrupts.post([alive = alive_, id = id_, watched = watched_] {
    if (alive->state) release(alive->state->lua(), *alive, id, watched);
  });
}

lua_State* Reference::running() const {
  if (!alive_->state) throw_usage("this Lua function cannot be called: its Host is closed");
  if (!alive_->state->interrupts().on_own_thread())
    throw_usage("this Lua function cannot be called on another thread than that of its Host",
                "a backward that C++ starts runs on a CUDA device's own thread: set_multithreading_enabled(false)");
  return alive_->state->interrupts().coroutine();
}

void Reference::push(lua_State* L) const { push_value(L, id_); }
bool Reference::belongs_to(const vm::State& state) const noexcept { return alive_->state == &state; }
bool Reference::is_alive() const noexcept { return alive_->state != nullptr; }

void Reference::held_for(lua_State* L, int first, int count, const torch::autograd::Node* node) {
  watched_ = true;
  watch(L, *alive_, id_, first, count, node);
}

int Reference::count() noexcept { return live.load(std::memory_order_relaxed); }

void open_references(lua_State* L) {
  alive_of(L);
  vm::State::of(L).native_bytes().around_collections(lend, take_back);
  lua_pushglobaltable(L);
  if (lua_getfield(L, -1, "collectgarbage") == LUA_TFUNCTION) {
    lua_pushcclosure(L, guarded<collect_garbage>, 1);
    lua_setfield(L, -2, "collectgarbage");
    lua_pop(L, 1);
  } else {
    lua_pop(L, 2);
  }
}

namespace {

// Note [Nested calls from C++]
// A hook may start a backward whose hooks start one, and so on. Lua counts nested calls of C functions and stops at
// 200, whatever the C stack holds; in a coroutine it counts anew. So every few levels go on in a coroutine of their
// own, and what ends the nesting is the C stack itself: so much of it must be free for a level.
constexpr int kLevelsOfCoroutine = 16;
constexpr size_t kFreeStack = size_t{768} << 10;
thread_local int nested = 0;

// The lowest address of this thread's C stack that is for use.
const char* stack_end() noexcept {
  thread_local const char* const end = [] {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return static_cast<const char*>(nullptr);
    void* lowest = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    return static_cast<const char*>(lowest) + std::min(kFreeStack, size / 2);
  }();
  return end;
}

struct Nested {
  Nested() {
    // Not the address of a variable: sanitizers keep those elsewhere.
    if (static_cast<const char*>(__builtin_frame_address(0)) < stack_end())
      throw_usage("stack overflow: calls from C++ into Lua are nested " + std::to_string(nested) +
                      " deep, and the C stack of this thread is full",
                  "a hook or a Function's backward that starts a backward which calls it again?");
    ++nested;
  }
  ~Nested() { --nested; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;
};

int new_coroutine(lua_State* L) { return lua_newthread(L), 1; }

int call_in(lua_State* L, int count, void (*run)(lua_State*, void*), void* data);

// The same in a new coroutine, in which nothing can yield: it is called, not resumed.
int call_in_coroutine(lua_State* L, int count, void (*run)(lua_State*, void*), void* data) {
  lua_pushcfunction(L, new_coroutine);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    lua_pop(L, 1 + count);
    throw Error(ErrorKind::memory, "out of memory");
  }
  lua_State* coroutine = lua_tothread(L, -1);
  lua_insert(L, -1 - count);
  const int at = lua_gettop(L) - count;
  const vm::Interrupts::Running running(vm::State::of(L).interrupts(), coroutine);
  if (!running || !lua_checkstack(coroutine, count + 8)) {
    lua_settop(L, at - 1);
    throw_usage("stack overflow: too many nested coroutines");
  }
  lua_xmove(L, coroutine, count);
  int results = 0;
  try {
    results = call_in(coroutine, count, run, data);
  } catch (const std::exception&) {  // Lua's own throw is none, and none leaves call_in
    lua_settop(L, at - 1);
    throw;
  }
  if (!lua_checkstack(L, results)) {
    lua_settop(L, at - 1);
    throw Error(ErrorKind::memory, "out of Lua stack");
  }
  lua_xmove(coroutine, L, results);
  lua_remove(L, at);
  return results;
}

}  // namespace

int protected_call(lua_State* L, int count, void (*run)(lua_State*, void*), void* data) {
  if (!lua_checkstack(L, 8)) throw Error(ErrorKind::memory, "out of Lua stack");
  const Nested level;
  return nested % kLevelsOfCoroutine == 0 ? call_in_coroutine(L, count, run, data) : call_in(L, count, run, data);
}

namespace {

int call_in(lua_State* L, int count, void (*run)(lua_State*, void*), void* data) {
  if (!lua_checkstack(L, 8)) throw Error(ErrorKind::memory, "out of Lua stack");
  Job job{run, data, nullptr};
  const int base = lua_gettop(L) - count;
  lua_pushcfunction(L, keep_tables);
  lua_pushcfunction(L, run_job);
  lua_pushlightuserdata(L, &job);
  lua_rotate(L, base + 1, 3);
  const int status = lua_pcall(L, count + 1, LUA_MULTRET, base + 1);
  lua_remove(L, base + 1);
  if (job.failure) {
    lua_settop(L, base);
    std::rethrow_exception(job.failure);
  }
  if (status != LUA_OK) {
    Failure failure;
    lua_pushcfunction(L, read_failure);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &failure);
    const bool read = lua_pcall(L, 2, 0, 0) == LUA_OK;
    lua_settop(L, base);
    if (!read || !failure.error) throw Error(ErrorKind::memory, "out of memory");
    throw Raised(std::move(*failure.error), std::move(failure.value));
  }
  return lua_gettop(L) - base;
}

}  // namespace

}  // namespace trainhost::bindings
