// Modes of coroutines: kept with each that has switched one, exchanged where it starts and stops running.
#include "host/vm/coroutine_modes.h"

#include <lua.hpp>

#include "host/vm/state.h"
#include "host/vm/weak_table.h"

namespace trainhost::vm {
namespace {

const char kRecords = 0;  // their addresses are registry keys of weak tables: coroutine -> Record
const char kScopes = 0;   // coroutine -> {scopes}, weak

// What is `own` where that differs from `base`, and else `outer`.
Modes merge(const Modes& outer, const Modes& base, const Modes& own) {
  Modes result;
  for (std::size_t i = 0; i < result.size(); ++i) {
    std::uint64_t switched = own[i] ^ base[i];
    if (i == kWhole && switched != 0) switched = ~std::uint64_t{0};
    result[i] = (outer[i] & ~switched) | (own[i] & switched);
  }
  return result;
}

// Of a coroutine that was suspended with modes of its own, or runs with them.
struct Record {
  Modes base;    // those it began with
  Modes own;     // those it was suspended with
  Modes caller;  // those of who resumed it last
  bool owns;
};

// Pushes the coroutine, which may be another than L, on L.
void push_thread(lua_State* L, lua_State* coroutine) {
  lua_pushthread(coroutine);
  if (coroutine != L) lua_xmove(coroutine, L, 1);
}

// Pushes what the table `key` has for the coroutine.
int push_kept(lua_State* L, lua_State* coroutine, const void* key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  push_thread(L, coroutine);
  const int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

Record* find_record(lua_State* L, lua_State* coroutine) {
  if (!State::of(L).coroutines_switched() || !lua_checkstack(L, 4) || !lua_checkstack(coroutine, 1)) return nullptr;
  push_kept(L, coroutine, &kRecords);
  auto* record = static_cast<Record*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return record;
}

Record& make_record(lua_State* L, lua_State* coroutine) {
  luaL_checkstack(L, 4, "modes");
  luaL_checkstack(coroutine, 1, "modes");
  State::of(L).coroutines_switched() = true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kRecords);
  push_thread(L, coroutine);
  auto* record = static_cast<Record*>(lua_newuserdatauv(L, sizeof(Record), 0));
  *record = {};
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return *record;
}

// Calls the metamethod of the coroutine's scopes that are still there, the outermost first or last.
void call_scopes(lua_State* L, lua_State* coroutine, const char* metamethod, bool outermost_first) {
  if (!State::of(L).coroutines_switched()) return;
  luaL_checkstack(L, 8, "scopes");
  luaL_checkstack(coroutine, 1, "scopes");
  const int top = lua_gettop(L);
  if (push_kept(L, coroutine, &kScopes) == LUA_TTABLE) {
    const lua_Integer count = luaL_len(L, top + 1);
    for (lua_Integer i = 1; i <= count; ++i) {
      lua_rawgeti(L, top + 1, outermost_first ? i : count + 1 - i);
      if (luaL_getmetafield(L, -1, metamethod) != LUA_TNIL) {
        lua_insert(L, -2);
        lua_call(L, 1, 0);
      }
      lua_settop(L, top + 1);
    }
  }
  lua_settop(L, top);
}

// Sets modes in any case, also where a scope's function raises.
class Finally {
 public:
  Finally(const ModeAccess& access, State& state, const Modes& modes) : access_(access), state_(state), modes_(modes) {}
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;
  ~Finally() {
    if (armed) access_.write(state_, modes_);
  }
  bool armed = true;

 private:
  const ModeAccess& access_;
  State& state_;
  const Modes& modes_;
};

}  // namespace

void open_coroutine_modes(lua_State* L) {
  for (const void* key : {&kRecords, &kScopes}) {
    push_weak_table(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
}

ModeSwitch::ModeSwitch(lua_State* L, lua_State* coroutine)
    : L_(L), coroutine_(coroutine), access_(State::of(L).mode_access()), status_(lua_status(coroutine)) {
  if (!access_) return;
  State& state = State::of(L);
  caller_ = base_ = access_->read(state);
  if (status_ == LUA_OK) return;  // it begins, or is closed before it began
  Finally restored(*access_, state, caller_);
  if (Record* record = find_record(L, coroutine); record && record->owns) {
    owned_ = true;
    if (status_ == LUA_YIELD) {
      const Modes own = merge(caller_, record->base, record->own);
      base_ = merge(caller_, record->own, record->base);
      *record = {base_, own, caller_, true};
      access_->write(state, own);
    } else {
      base_ = record->base;
      caller_ = record->caller;  // it has failed, and its modes are still on
    }
  }
  if (status_ == LUA_YIELD) call_scopes(L, coroutine, "__resume", /*outermost_first=*/true);
  restored.armed = false;
}

void ModeSwitch::end(int status) {
  if (!access_) return;
  State& state = State::of(L_);
  if (status == LUA_YIELD) {
    Finally restored(*access_, state, caller_);
    call_scopes(L_, coroutine_, "__suspend", /*outermost_first=*/false);
    const Modes now = access_->read(state);
    Record* record = find_record(L_, coroutine_);
    if (now == base_) {
      if (record) record->owns = false;
      return;
    }
    if (!record) record = &make_record(L_, coroutine_);
    *record = {base_, now, caller_, true};
  } else if (status == LUA_OK && owned_) {
    access_->write(state, merge(caller_, base_, access_->read(state)));
    if (Record* record = find_record(L_, coroutine_)) record->owns = false;
  }
}

void ModeSwitch::end_closed() {
  if (!access_ || status_ == LUA_OK) return;
  State& state = State::of(L_);
  if (status_ == LUA_YIELD || (owned_ && access_->read(state) == base_)) access_->write(state, caller_);
}

void keep_scope(lua_State* L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 6, "scope");
  const bool main = lua_pushthread(L);
  lua_pop(L, 1);
  if (main) return;
  State::of(L).coroutines_switched() = true;
  if (push_kept(L, L, &kScopes) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kScopes);
    lua_pushthread(L);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_insert(L, -4);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 1);
}

void drop_scope(lua_State* L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, "scope");
  if (push_kept(L, L, &kScopes) == LUA_TTABLE) {
    const lua_Integer count = luaL_len(L, -1);
    bool found = false;
    for (lua_Integer i = 1; i <= count; ++i) {
      lua_rawgeti(L, -1, found ? i + 1 : i);
      if (!found && lua_rawequal(L, -1, index)) {
        found = true;
        lua_pop(L, 1);
        lua_rawgeti(L, -1, i + 1);
      }
      if (found) lua_rawseti(L, -2, i);
      else lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

}  // namespace trainhost::vm
