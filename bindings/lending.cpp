// How a cycle through C++ is found: values that autograd holds are lent to the tensors that hold it.
#include "bindings/lending.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <new>

#include "bindings/autograd.h"
#include "bindings/owned.h"
#include "bindings/tensor.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {
namespace {

// Note [Cycles through C++]
// A hook is held by C++ (the graph of its tensor), and a closure that mentions its own tensor, or a ctx that keeps an
// output, holds the graph in turn: no collector sees such a cycle. Before each full collection we look at the values
// that autograd holds: if nothing but Lua's userdata holds their tensors, and nothing but these tensors and Lua's Node
// values the node (as in PyTorch's tp_traverse), the value moves to an ephemeron table with these owners as its keys,
// and is as alive as they are. What is alive afterwards moves back. Finalizers run in between: a value that is lent is
// found among the rows.
const char kAlive = 0;   // registry keys: the token,
const char kValues = 0;  // id -> value, or the address of kLent,
const char kOwner = 0;   // id -> its owner, weak values,
const char kOwners = 0;  // id -> weak list of them, where there are several,
const char kLent = 0;    // owner -> {id = value}, filled during collections alone, weak keys
const char kWeak = 0;    // the metatable of those lists

constexpr int kMostOwners = 64;

// The state's hold: when it is let go, the state has ended.
struct Token {
  std::shared_ptr<Alive> alive;
  ~Token() {
    const std::lock_guard lock(alive->mutex);
    alive->state = nullptr;
  }
};

const std::shared_ptr<Alive>* token(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kAlive);
  const auto* found = static_cast<Token*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return found ? &found->alive : nullptr;
}

bool is_lent(lua_State* L, int index) { return lua_touserdata(L, index) == &kLent; }

// Is the value at `index` a tensor that `node` made (a leaf, for null), or the node itself?
bool is_owner(lua_State* L, int index, const torch::autograd::Node* node) {
  if (const at::Tensor* tensor = test_tensor(L, index)) return torch::autograd::impl::grad_fn_unsafe(*tensor) == node;
  const autograd::NodePtr* value = node ? test<torch::autograd::Node>(L, index) : nullptr;
  return value && value->get() == node;
}

// Pushes the owners of `id` that are alive; returns how many.
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
  for (lua_Integer i = 1; several && i <= kMostOwners; ++i)
    if (lua_rawgeti(L, list, i) != LUA_TNIL) ++count;
    else lua_pop(L, 1);
  lua_remove(L, list);
  return count;
}

// Does nothing but the `count` owners on top of the stack hold the tensors and the node?
bool are_alone(lua_State* L, int count, const torch::autograd::Node* node) {
  size_t holders = 0;
  for (int i = 1; i <= count; ++i) {
    if (!is_owner(L, -i, node)) return false;
    const at::Tensor* tensor = test_tensor(L, -i);
    if (tensor && tensor->use_count() != 1) return false;
    if (node && i == 1)
      holders =
          static_cast<size_t>(tensor ? tensor->grad_fn().use_count() : test<torch::autograd::Node>(L, -i)->use_count());
  }
  return !node || holders == static_cast<size_t>(count);
}

// Fills the rows, then marks the values as lent, which cannot fail.
void fill(lua_State* L, const Alive& alive) {
  push_values(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  const int values = lua_gettop(L) - 1, rows = values + 1;
  for (const auto& [id, node] : alive.watched) {
    const int count = push_owners(L, id);
    if (count > 0 && are_alone(L, count, node)) {
      for (int i = 0; i < count; ++i, lua_pop(L, 1)) {
        if (lua_rawget(L, rows) != LUA_TTABLE) continue;
        lua_rawgeti(L, values, id);
        lua_rawseti(L, -2, id);
      }
    }
    lua_settop(L, rows);
  }
  for (lua_pushnil(L); lua_next(L, rows); lua_pop(L, 1))
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      lua_pushlightuserdata(L, const_cast<char*>(&kLent));
      lua_rawseti(L, values, lua_tointeger(L, -3));
    }
}

int fill_protected(lua_State* L) {
  try {
    luaL_checkstack(L, kMostOwners + 10, "references");
    fill(L, **token(L));
  } catch (const std::bad_alloc&) {
  }
  return 0;
}

// A finalizer would let go of references while we walk them.
class CollectorStopped {
 public:
  explicit CollectorStopped(lua_State* L) : L_(L), running_(lua_gc(L, LUA_GCISRUNNING)) { lua_gc(L, LUA_GCSTOP); }
  ~CollectorStopped() {
    if (running_) lua_gc(L_, LUA_GCRESTART);
  }
  CollectorStopped(const CollectorStopped&) = delete;
  CollectorStopped& operator=(const CollectorStopped&) = delete;

 private:
  lua_State* L_;
  bool running_;
};

}  // namespace

const std::shared_ptr<Alive>& alive_of(lua_State* L) {
  if (const auto* alive = token(L)) return *alive;
  auto fresh = std::make_shared<Alive>();
  fresh->state = &vm::State::of(L);
  const auto* made = new (lua_newuserdatauv(L, sizeof(Token), 0)) Token{std::move(fresh)};
  set_collected<Token>(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kValues);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kOwners);
  vm::push_weak_table(L, "v");
  lua_getmetatable(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kWeak);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kOwner);
  vm::push_weak_table(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kLent);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kAlive);
  return made->alive;
}

void push_values(lua_State* L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &kValues); }

void push_value(lua_State* L, int id) {
  push_values(L);
  lua_rawgeti(L, -1, id);
  lua_remove(L, -2);
  if (!is_lent(L, -1)) return;
  luaL_checkstack(L, 5, "reference");
  const int place = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  for (lua_pushnil(L); lua_next(L, place + 1); lua_pop(L, 2))
    if (lua_rawgeti(L, -1, id) != LUA_TNIL) {
      lua_replace(L, place);
      break;
    }
  lua_settop(L, place);
}

void watch(lua_State* L, Alive& alive, int id, int first, int count, const torch::autograd::Node* node) {
  luaL_checkstack(L, 8, "reference");
  int owners = 0, last = 0;
  for (int i = first; i < first + count && owners < kMostOwners; ++i) {
    if (!is_owner(L, i, node)) continue;
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
    for (int i = first; i <= last; ++i) {
      if (!is_owner(L, i, node)) continue;
      lua_pushvalue(L, i);
      lua_rawseti(L, -2, ++n);
    }
  }
  lua_rawseti(L, -2, id);
  lua_pop(L, 1);
  alive.watched[id] = node;
}

void unwatch(lua_State* L, Alive& alive, int id) noexcept {
  alive.watched.erase(id);
  for (const char* key : {&kOwner, &kOwners}) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    if (lua_rawgeti(L, -1, id) != LUA_TNIL) {  // what is not there would need memory
      lua_pushnil(L);
      lua_rawseti(L, -3, id);
    }
    lua_pop(L, 2);
  }
}

void lend(lua_State* L) {
  const auto* alive = token(L);
  if (!alive || (*alive)->watched.empty() || !lua_checkstack(L, 8)) return;
  take_back(L);
  const CollectorStopped stopped(L);
  const int top = lua_gettop(L);
  (*alive)->lent = true;
  lua_pushcfunction(L, fill_protected);
  lua_pcall(L, 0, 0, 0);
  lua_settop(L, top);
}

void take_back(lua_State* L) {
  const auto* alive = token(L);
  if (!alive || !(*alive)->lent || !lua_checkstack(L, 8)) return;
  const int top = lua_gettop(L);
  push_values(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kLent);
  for (lua_pushnil(L); lua_next(L, top + 2); lua_pop(L, 1)) {
    for (lua_pushnil(L); lua_next(L, top + 4); lua_pop(L, 1)) {
      const lua_Integer id = lua_tointeger(L, top + 5);
      if (lua_rawgeti(L, top + 1, id); is_lent(L, -1)) {  // else let go of, or given back for another owner
        lua_pushvalue(L, top + 6);
        lua_rawseti(L, top + 1, id);
      }
      lua_pop(L, 1);
      lua_pushnil(L);
      lua_rawseti(L, top + 4, id);
    }
  }
  (*alive)->lent = false;
  lua_settop(L, top);
}

}  // namespace trainhost::bindings
