// torch.scope: what a function made is let go when it ends, but for its results.
#include "bindings/scope.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <unordered_map>
#include <utility>

#include "bindings/lending.h"
#include "bindings/tensor.h"
#include "host/vm/finalizers.h"

namespace trainhost::bindings {
namespace {

TensorHandle& handle_of(vm::ScopeLink* link) {
  return *reinterpret_cast<TensorHandle*>(reinterpret_cast<char*>(link) - offsetof(TensorHandle, link));
}

// Every list that handles of this thread may be in: see Note [Lost finalizers]. Handles that are in none live until the
// collector frees them.
class KnownList : public vm::ScopeList {
 public:
  explicit KnownList(unsigned d) noexcept : ScopeList(d), next_(std::exchange(first(), this)) {}
  ~KnownList() { first() = next_; }
  static void empty_all() noexcept {
    for (KnownList* list = first(); list; list = list->next_)
      while (list->after() && list->after() != list) list->after()->leave();
  }

 private:
  static KnownList*& first() noexcept {
    thread_local KnownList* list = nullptr;
    return list;
  }
  KnownList* next_;
};

// A table of what results are not followed into: the modules that are loaded, the globals.
void push_seen(lua_State* L) {
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (!lua_isboolean(L, -1)) {
      lua_pushboolean(L, true);
      lua_rawset(L, -5);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

// Note [What a scope lets go]
// A tensor that was made inside and that nothing but its Lua value holds. What C++ holds as well (a parameter, a
// buffer, a gradient, what an optimizer or a graph keeps) stays: letting go of the Lua value would free nothing. A
// graph lets go of what it keeps when its last output goes, so the newest go first, until none is left that can go.
// C++ may hold a tensor through a value of Lua, too (ctx.field, what a pack hook made of it, the upvalue of a hook):
// what such values reach stays for as long as they are held, if they came to C++ inside: older ones are not walked
// through at every step, they are variables of outside. They are asked again once a graph has gone that held some.
// A value of the script that holds such a tensor still (an upvalue, a field of a table that outlives the scope) holds a
// closed tensor then, which says so when it is used: nothing dangles.
class TensorScope {
 public:
  explicit TensorScope(lua_State* L)
      : L_(L),
        references_(*alive_of(L)),
        before_(references_.made),
        bytes_(vm::State::of(L).native_bytes()),
        outer_(bytes_.scope()),
        made_(outer_ ? outer_->depth + 1 : 1) {
    bytes_.set_scope(&made_);
  }
  ~TensorScope() {
    bytes_.set_scope(outer_);
    KnownList held(made_.depth);
    for (bool progress = true; progress;) {
      const auto references = new_references();
      if (references > 0 && made_.before() && made_.before() != &made_ && !set_aside(held)) break;
      progress = release() && new_references() != references;
      move_all(held, progress ? &made_ : outer_);
    }
    move_all(held, outer_);
    move_all(made_, outer_);
  }
  TensorScope(const TensorScope&) = delete;
  TensorScope& operator=(const TensorScope&) = delete;

  // Keeps the tensors among the values 1..count and in what these hold. Leaves two tables on the stack.
  void keep(int count) {
    begin(outer_);
    for (int i = 1; i <= count; ++i) {
      lua_pushvalue(L_, i);
      meet();
    }
    look_into_all();
  }

 private:
  bool is_new(uint64_t serial) const noexcept { return serial > before_; }
  // How many values C++ holds since the scope began.
  std::ptrdiff_t new_references() const noexcept {
    if (references_.made == before_) return 0;
    return std::ranges::count_if(references_.serials, [this](uint64_t serial) { return is_new(serial); });
  }

  static void move_all(vm::ScopeList& from, vm::ScopeList* to) {
    for (vm::ScopeLink* link = from.after(); link && link != &from; link = from.after()) move(handle_of(link), to);
  }
  static void move(TensorHandle& handle, vm::ScopeList* to) {
    handle.link.leave();
    if (to) handle.enter(*to);
  }

  // Lets go of what can go.
  bool release() {
    bool any = false;
    while (release_sole() || release_shared()) any = true;
    return any;
  }
  bool release_sole() {
    bool any = false;
    for (vm::ScopeLink* link = made_.before(); link && link != &made_;) {
      vm::ScopeLink* next = link->before();
      if (release_if_sole(L_, handle_of(link))) {
        link->leave();
        any = true;
      }
      link = next;
    }
    return any;
  }
  // What several values hold, all of this scope: a tensor that a hook was called with, say.
  bool release_shared() noexcept {
    std::unordered_map<c10::TensorImpl*, size_t> values;
    try {
      for (vm::ScopeLink* link = made_.before(); link && link != &made_; link = link->before())
        ++values[handle_of(link).tensor.unsafeGetTensorImpl()];
    } catch (const std::bad_alloc&) {
      return false;
    }
    bool any = false;
    for (vm::ScopeLink* link = made_.before(); link && link != &made_;) {
      vm::ScopeLink* next = link->before();
      size_t& count = values[handle_of(link).tensor.unsafeGetTensorImpl()];
      if (count > 1 && release_if_sole(L_, handle_of(link), count)) {
        link->leave();
        --count;
        any = true;
      }
      link = next;
    }
    return any;
  }

  struct Job {
    TensorScope* scope;
    vm::ScopeList* held;
  };
  static int reach(lua_State* L) {
    const auto& [scope, held] = *static_cast<Job*>(lua_touserdata(L, 1));
    scope->begin(held);
    const std::vector<uint64_t>& serials = scope->references_.serials;
    for (size_t id = 0; id < serials.size(); ++id) {
      if (!scope->is_new(serials[id])) continue;
      push_value(L, static_cast<int>(id));
      scope->meet();
    }
    scope->look_into_all();
    return 0;
  }
  // Moves what the values that C++ holds since the scope began reach to `held`. False if Lua has no memory for that.
  bool set_aside(vm::ScopeList& held) noexcept {
    if (!lua_checkstack(L_, 4)) return false;
    Job job{this, &held};
    lua_pushcfunction(L_, reach);
    lua_pushlightuserdata(L_, &job);
    const bool done = lua_pcall(L_, 1, 0, 0) == LUA_OK;
    if (!done) lua_pop(L_, 1);
    return done;
  }

  // From here on tensors that are met move to `to`.
  void begin(vm::ScopeList* to) {
    luaL_checkstack(L_, 16, "results of torch.scope");
    to_ = to;
    waiting_ = 0;
    push_seen(L_);
    seen_ = lua_gettop(L_);
    lua_newtable(L_);  // a list of values to look into: a chain of a million tables must not need a million frames
  }

  void look_into_all() {
    while (waiting_ > 0) {
      lua_rawgeti(L_, seen_ + 1, waiting_);
      lua_pushnil(L_);
      lua_rawseti(L_, seen_ + 1, waiting_--);
      if (lua_istable(L_, -1)) look_into_table();
      else if (lua_isfunction(L_, -1)) look_into_upvalues();
      else if (lua_isthread(L_, -1)) look_into_thread();
      else look_into_user_values();
      lua_pop(L_, 1);
    }
  }

  // Keeps the value on top if it is a tensor, else notes to look into it; pops it.
  void meet() {
    const int type = lua_type(L_, -1);
    if (TensorHandle* handle = type == LUA_TUSERDATA ? test<at::Tensor>(L_, -1) : nullptr) {
      if (handle->link.is_entered() && handle->depth == made_.depth) move(*handle, to_);
    } else if (type == LUA_TTABLE || type == LUA_TUSERDATA || type == LUA_TFUNCTION || type == LUA_TTHREAD) {
      lua_pushvalue(L_, -1);
      const bool seen = lua_rawget(L_, seen_) != LUA_TNIL;
      lua_pop(L_, 1);
      if (!seen) {
        lua_pushvalue(L_, -1);
        lua_pushboolean(L_, true);
        lua_rawset(L_, seen_);
        lua_rawseti(L_, seen_ + 1, ++waiting_);
        return;
      }
    }
    lua_pop(L_, 1);
  }

  void look_into_table() {
    if (lua_getmetatable(L_, -1)) meet();
    lua_pushnil(L_);
    while (lua_next(L_, -2)) {
      meet();
      lua_pushvalue(L_, -1);
      meet();
    }
  }
  void look_into_user_values() {
    for (int i = 1; lua_getiuservalue(L_, -1, i) != LUA_TNONE; ++i) meet();
    lua_pop(L_, 1);
  }
  void look_into_upvalues() {
    const char* name;
    for (int i = 1; (name = lua_getupvalue(L_, -1, i)) != nullptr; ++i) {
      if (std::strcmp(name, "_ENV") == 0) lua_pop(L_, 1);
      else meet();
    }
  }

  // The functions and locals of a coroutine that waits; of one that did not begin, its function and arguments.
  void look_into_thread() {
    lua_State* thread = lua_tothread(L_, -1);
    if (thread == L_ || !lua_checkstack(thread, 4)) return;
    const auto meet_top = [&] {
      lua_xmove(thread, L_, 1);
      meet();
    };
    lua_Debug frame;
    int level = 0;
    for (; lua_getstack(thread, level, &frame); ++level) {
      for (const int step : {1, -1})
        for (int i = step; lua_getlocal(thread, &frame, i); i += step) meet_top();
      lua_getinfo(thread, "f", &frame);
      meet_top();
    }
    if (level > 0) return;
    for (int i = 1, count = lua_gettop(thread); i <= count; ++i) {
      lua_pushvalue(thread, i);
      meet_top();
    }
  }

  lua_State* L_;
  const Alive& references_;
  const uint64_t before_;  // the newest of them when the scope began
  vm::NativeBytes& bytes_;
  vm::ScopeList* outer_;
  KnownList made_;
  vm::ScopeList* to_ = nullptr;
  int seen_ = 0;
  lua_Integer waiting_ = 0;
};

// keep(tensor, kept)
int keep(lua_State* L) {
  check_tensor(L, 1);
  TensorHandle& handle = *test<at::Tensor>(L, 1);
  handle.link.leave();
  vm::ScopeList* scope = vm::State::of(L).native_bytes().scope();
  if (lua_isboolean(L, 2) && !lua_toboolean(L, 2) && scope) handle.enter(*scope);
  return lua_settop(L, 1), 1;
}

// torch.scope(fn, ...)
int scope(lua_State* L) {
  if (lua_type(L, 1) != LUA_TFUNCTION) throw_argument(L, "torch.scope", "fn", "a function", 1);
  TensorScope tensors(L);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  const int results = lua_gettop(L);
  tensors.keep(results);
  lua_settop(L, results);
  return results;
}

}  // namespace

void set_scope_functions(lua_State* L) {
  vm::on_lost_finalizer(L, KnownList::empty_all);
  static constexpr Row kRows[] = {
      {"scope", guarded<scope>,
       "Runs fn(...), then lets go of every tensor that was made meanwhile at once, but for those in its results: as "
       "values, in tables, in fields of modules and in functions, nested. What a module, an optimizer, a gradient or a "
       "graph that lives on holds stays, also what a graph holds through Lua: in ctx, in a hook, in a checkpoint that "
       "was made inside. A tensor that only a variable or table outside still holds is closed then: using it is an "
       "error. "
       "Scopes nest; an error ends them, too.\n@param fn function\n@param ... any its arguments\n@return any what fn "
       "returns\n@example torch.scope(function() return torch.ones(2) + 1 end)  --> tensor([2., 2.])"},
      {"keep", guarded<keep>,
       "No torch.scope lets go of the tensor: for objects of the library that make theirs when first used.\n@param "
       "tensor Tensor\n@param kept? boolean true; false: it belongs to the scope that runs now\n@return Tensor"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
