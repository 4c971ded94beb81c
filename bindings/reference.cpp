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
const char kOwner = 0;   // id -> the userdata of its tensor, weak values,
const char kOwners = 0;  // id -> weak list of them, where there are several,
const char kLent = 0;    // userdata -> {id = value}, filled during collections alone, weak keys
const char kWeak = 0;    // the metatable of those lists

std::atomic<int> live{0};

}  // namespace

// The mutex is for values let go of on another thread.
struct Alive {
  std::mutex mutex;
  vm::State* state;
  std::unordered_map<int, const torch::autograd::Node*> watched;
  std::vector<int> lent;
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
  push_weak_table(L, "v");
  lua_getmetatable(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kWeak);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kOwner);
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
  for (const char* key : {&kOwner, &kOwners}) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_pushnil(L);
    lua_rawseti(L, -2, id);
    lua_pop(L, 1);
  }
}

// Pushes the userdata of the tensors that `id` is held for; returns how many.
int push_owners(lua_State* L, int id) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kOwner);
  const bool one = lua_rawgeti(L, -1, id) != LUA_TNIL;
  lua_remove(L, -2);
  if (one) return 1;
  lua_pop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kOwners);
  const bool several = lua_rawgeti(L, -1, id) == LUA_TTABLE;
  lua_remove(L, -2);
  const int list = lua_gettop(L);
  int count = 0;
  for (lua_Integer i = 1, size = several ? static_cast<lua_Integer>(lua_rawlen(L, list)) : 0; i <= size; ++i)
    if (lua_rawgeti(L, list, i) != LUA_TNIL) ++count;
    else lua_pop(L, 1);
  lua_remove(L, list);
  return count;
}

// Does nothing but the `count` userdata on top of the stack hold their tensors, and nothing but these the node?
bool are_alone(lua_State* L, int count, const torch::autograd::Node* node) {
  for (int i = 1; i <= count; ++i) {
    const at::Tensor* tensor = test_tensor(L, -i);
    if (!tensor || tensor->use_count() != 1 || torch::autograd::impl::grad_fn_unsafe(*tensor) != node) return false;
  }
  return !node || static_cast<int>(check_tensor(L, -1).grad_fn().use_count()) == count;
}

constexpr int kMostOwners = 64;

void lend(lua_State* L) {
  auto* alive = token(L);
  if (!alive || (*alive)->watched.empty() || !lua_checkstack(L, kMostOwners + 10)) return;
  std::vector<int>& lent = (*alive)->lent;
  lent.clear();
  lent.reserve((*alive)->watched.size());
  const bool running = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);  // a finalizer would let go of references while we walk them
  const int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  for (const auto& [id, node] : (*alive)->watched) {
    const int count = push_owners(L, id);
    if (count > 0 && are_alone(L, count, node)) {
      for (int i = 0; i < count; ++i, lua_pop(L, 1)) {
        if (lua_rawget(L, top + 2) == LUA_TTABLE) {
          lua_rawgeti(L, top + 1, id);
          lua_rawseti(L, -2, id);
        }
      }
      lent.push_back(id);
    }
    lua_settop(L, top + 2);
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
  if (!alive || (*alive)->lent.empty() || !lua_checkstack(L, kMostOwners + 10)) return;
  const int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  for (const int id : (*alive)->lent) {
    if (!(*alive)->watched.count(id)) continue;  // let go of by a finalizer
    const int count = push_owners(L, id);
    for (int i = 0; i < count; ++i, lua_settop(L, top + 2 + count - i)) {
      if (lua_rawget(L, top + 2) != LUA_TTABLE || lua_rawgeti(L, -1, id) == LUA_TNIL) continue;
      lua_rawseti(L, top + 1, id);
      lua_pushnil(L);
      lua_rawseti(L, -2, id);
    }
    lua_settop(L, top + 2);
  }
  (*alive)->lent.clear();
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
bool Reference::is_alive() const noexcept { return alive_->state != nullptr; }

void Reference::held_for(lua_State* L, int first, int count, const torch::autograd::Node* node) {
  luaL_checkstack(L, 8, "reference");
  int owners = 0, last = 0;
  for (int i = first; i < first + count && owners < kMostOwners; ++i)
    if (const at::Tensor* tensor = test_tensor(L, i);
        tensor && torch::autograd::impl::grad_fn_unsafe(*tensor) == node) {
      ++owners;
      last = i;
      lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
      lua_pushvalue(L, i);
      if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, i);
        lua_newtable(L);
        lua_rawset(L, -4);
      }
      lua_pop(L, 2);
    }
  if (owners == 0) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, owners == 1 ? &kOwner : &kOwners);
  if (owners == 1) {
    lua_pushvalue(L, last);
  } else {
    lua_createtable(L, owners, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kWeak);
    lua_setmetatable(L, -2);
    lua_Integer n = 0;
    for (int i = first; i <= last; ++i)
      if (const at::Tensor* tensor = test_tensor(L, i);
          tensor && torch::autograd::impl::grad_fn_unsafe(*tensor) == node) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, ++n);
      }
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
