// References in a table of the registry, and how a cycle through C++ is found.
#include "bindings/reference.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "bindings/tensor.h"
#include "host/vm/errors.h"

namespace trainhost::bindings {
namespace {

// Note [Cycles through C++]
// A hook is held by C++ (the graph of its tensor), and a closure that mentions its own tensor, or a ctx that keeps an
// output, holds the graph in turn: no collector sees such a cycle. Before each full collection we look at the values
// that autograd holds: if nothing but Lua's userdata holds their tensors, and nothing but these tensors the node (as in
// PyTorch's tp_traverse), the value moves to an ephemeron table with the tensors as its keys, and is as alive as they
// are. What is alive afterwards moves back.
const char kAlive = 0;   // registry keys: the token,
const char kValues = 0;  // id -> value,
const char kOwners = 0;  // id -> weak list of the userdata of its tensors,
const char kLent = 0;    // userdata -> {id, value, id, value ...}, weak keys

std::atomic<int> live{0};

}  // namespace

// The mutex is for values let go of on another thread.
struct Alive {
  std::mutex mutex;
  vm::State* state;
  std::unordered_map<int, const torch::autograd::Node*> watched;
};

namespace {

void push_weak_table(lua_State* L, const char* mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

std::shared_ptr<Alive>* token(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kAlive);
  auto* alive = static_cast<std::shared_ptr<Alive>*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return alive;
}

int collect_token(lua_State* L) {
  auto* alive = static_cast<std::shared_ptr<Alive>*>(lua_touserdata(L, 1));
  {
    std::lock_guard lock((*alive)->mutex);
    (*alive)->state = nullptr;
  }
  alive->~shared_ptr();
  return 0;
}

const std::shared_ptr<Alive>& alive_of(lua_State* L) {
  if (auto* alive = token(L)) return *alive;
  auto fresh = std::make_shared<Alive>();
  fresh->state = &vm::State::of(L);
  auto* block = lua_newuserdatauv(L, sizeof(fresh), 0);
  auto* alive = new (block) std::shared_ptr<Alive>(std::move(fresh));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect_token);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kOwners);
  push_weak_table(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kLent);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kAlive);
  return *alive;
}

void release(lua_State* L, Alive& alive, int id, bool watched) {
  if (!lua_checkstack(L, 4)) return;  // a leak, where Lua has no memory for three slots
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  luaL_unref(L, -1, id);
  lua_pop(L, 1);
  if (!watched) return;
  alive.watched.erase(id);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kOwners);
  lua_pushnil(L);
  lua_rawseti(L, -2, id);
  lua_pop(L, 1);
}

// The tensors in the list on top of the stack, whose userdata are pushed above it: 0 unless nothing but Lua holds them,
// and nothing but them the node.
int push_lone_owners(lua_State* L, const torch::autograd::Node* node) {
  const int list = lua_gettop(L);
  const auto size = static_cast<int>(lua_rawlen(L, list));
  int count = 0;
  for (int i = 1; i <= size; ++i) {
    lua_rawgeti(L, list, i);
    const at::Tensor* tensor = test_tensor(L, -1);
    if (!tensor) {
      lua_pop(L, 1);
      continue;
    }
    ++count;
    if (tensor->use_count() != 1 || torch::autograd::impl::grad_fn_unsafe(*tensor) != node) {
      lua_pop(L, count);
      return 0;
    }
  }
  if (count > 0 && node && static_cast<int>(check_tensor(L, -1).grad_fn().use_count()) != count) {
    lua_pop(L, count);
    return 0;
  }
  return count;
}

void lend(lua_State* L) {
  auto* alive = token(L);
  if (!alive || (*alive)->watched.empty()) return;
  if (!lua_checkstack(L, 80)) return;
  const bool running = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);  // a finalizer would let go of references while we walk them
  const int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kOwners);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  std::vector<int> lent;
  for (const auto& [id, node] : (*alive)->watched) {
    if (lua_rawgeti(L, top + 2, id) != LUA_TTABLE) {
      lua_pop(L, 1);
      continue;
    }
    const int count = push_lone_owners(L, node);
    for (int i = 0; i < count; ++i, lua_pop(L, 1)) {
      if (lua_pushvalue(L, -1); lua_rawget(L, top + 3) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, top + 3);
      }
      const auto size = static_cast<lua_Integer>(lua_rawlen(L, -1));
      lua_pushinteger(L, id);
      lua_rawseti(L, -2, size + 1);
      lua_rawgeti(L, top + 1, id);
      lua_rawseti(L, -2, size + 2);
      lua_pop(L, 1);
    }
    if (count > 0) lent.push_back(id);
    lua_pop(L, 1);
  }
  for (const int id : lent) {  // last: nothing from here on can raise
    lua_pushboolean(L, 0);
    lua_rawseti(L, top + 1, id);
  }
  lua_settop(L, top);
  if (running) lua_gc(L, LUA_GCRESTART);
}

void take_back(lua_State* L) {
  auto* alive = token(L);
  if (!alive || (*alive)->watched.empty() || !lua_checkstack(L, 10)) return;
  const int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  for (lua_pushnil(L); lua_next(L, top + 2); lua_pop(L, 1)) {
    if (test_tensor(L, -2)) {  // one that was finalized is no key any more
      const auto size = static_cast<lua_Integer>(lua_rawlen(L, -1));
      for (lua_Integer i = 1; i <= size; i += 2) {
        lua_rawgeti(L, -1, i);
        const lua_Integer id = lua_tointeger(L, -1);
        lua_rawgeti(L, -2, i + 1);
        if (lua_rawgeti(L, top + 1, id) == LUA_TBOOLEAN && (*alive)->watched.count(static_cast<int>(id))) {
          lua_pop(L, 1);
          lua_rawseti(L, top + 1, id);
          lua_pop(L, 1);
        } else {
          lua_pop(L, 3);
        }
      }
    }
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, top + 2);
  }
  lua_settop(L, top);
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
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_pushvalue(L, index);
  id_ = luaL_ref(L, -2);
  lua_pop(L, 1);
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

void Reference::push(lua_State* L) const {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_rawgeti(L, -1, id_);
  lua_remove(L, -2);
}

bool Reference::belongs_to(const vm::State& state) const noexcept { return alive_->state == &state; }

void Reference::held_for(lua_State* L, int first, int count, const torch::autograd::Node* node) {
  luaL_checkstack(L, 6, "reference");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kOwners);
  push_weak_table(L, "v");
  lua_Integer n = 0;
  for (int i = first; i < first + count; ++i) {
    const at::Tensor* tensor = test_tensor(L, i);
    if (!tensor || torch::autograd::impl::grad_fn_unsafe(*tensor) != node) continue;
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, ++n);
  }
  lua_rawseti(L, -2, id_);
  lua_pop(L, 1);
  alive_->watched[id_] = node;
  watched_ = true;
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

int protected_call(lua_State* L, int count, void (*run)(lua_State*, void*), void* data) {
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
    auto value = std::make_shared<const Reference>(L, -1);
    if (lua_istable(L, -1) && luaL_getmetafield(L, -1, "__name") == LUA_TNIL) {
      lua_pop(L, 1);
      throw Raised(Error(ErrorKind::usage, "error value of type table"), std::move(value));
    }
    lua_settop(L, base + 1);
    throw Raised(vm::pop_error(L), std::move(value));
  }
  return lua_gettop(L) - base;
}

}  // namespace trainhost::bindings
