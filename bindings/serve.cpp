// native.serve: the socket at which a running training is asked, and the client's side of it.
#include "host/serve/door.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>

#include "bindings/guard.h"
#include "bindings/object.h"
#include "host/base/error.h"
#include "host/serve/watch.h"
#include "host/vm/contained.h"
#include "host/vm/state.h"

namespace trainhost::bindings {

template <>
struct Type<serve::Door> {
  using Handle = std::shared_ptr<serve::Door>;
  static constexpr TypeId id = TypeId::door;
  static constexpr const char* name = "Door";
  static constexpr int user_values = 0;
};

template <>
struct Type<serve::Caller> {
  using Handle = std::shared_ptr<serve::Caller>;
  static constexpr TypeId id = TypeId::caller;
  static constexpr const char* name = "Caller";
  static constexpr int user_values = 0;
};

namespace {

std::string text_at(lua_State* L, int arg, const char* function, const char* name) {
  if (lua_type(L, arg) != LUA_TSTRING) throw_argument(L, function, name, "a string", arg);
  size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

int push_line(lua_State* L, const std::optional<std::string>& line) {
  if (line) lua_pushlstring(L, line->data(), line->size());
  else lua_pushnil(L);
  return 1;
}

int folder(lua_State* L) { return push_line(L, serve::runtime_folder()); }

int is_program(lua_State* L) {
  lua_pushboolean(L, !vm::State::of(L).options().program.empty());
  return 1;
}

int is_alive(lua_State* L) {
  const lua_Integer pid = luaL_checkinteger(L, 1);
  lua_pushboolean(L, pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM));
  return 1;
}

int open_door(lua_State* L) {
  push<serve::Door>(L, std::make_shared<serve::Door>(text_at(L, 1, "door", "path"), text_at(L, 2, "door", "busy")));
  return 1;
}

int take(lua_State* L) { return push_line(L, check<serve::Door>(L, 1)->take()); }

int answer(lua_State* L) {
  check<serve::Door>(L, 1)->answer(text_at(L, 2, "answer", "line"));
  return 0;
}

const char* name_of(serve::Watch::Reason reason) {
  using Reason = serve::Watch::Reason;
  return reason == Reason::asked  ? "asked"
         : reason == Reason::time ? "time"
         : reason == Reason::gone ? "gone"
                                  : nullptr;
}

// door:run(seconds, f): what `contained` returns; why it was cancelled after "cancelled".
int run(lua_State* L) {
  const auto door = check<serve::Door>(L, 1);
  const double seconds = luaL_checknumber(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  auto& interrupts = vm::State::of(L).interrupts();
  vm::Interrupts::Bound bound(interrupts);  // already for the watch
  const serve::Watch watch(*door, seconds, [&interrupts] { interrupts.cancel(); });
  const int count = vm::contained_call(L, 3, bound);
  if (const char* why = name_of(watch.reason()); why && count == 1) return lua_pushstring(L, why), 2;
  return count;
}

int contained(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  vm::Interrupts::Bound bound(vm::State::of(L).interrupts());
  return vm::contained_call(L, 1, bound);
}

int call(lua_State* L) {
  push<serve::Caller>(L, std::make_shared<serve::Caller>(text_at(L, 1, "call", "path")));
  return 1;
}

int send(lua_State* L) {
  auto& interrupts = vm::State::of(L).interrupts();
  check<serve::Caller>(L, 1)->send(text_at(L, 2, "send", "line"), [&] { return interrupts.requested(); });
  return 0;
}

int take_back(lua_State* L) {
  check<serve::Caller>(L, 1)->send(std::string(1, serve::Door::kTakeBack), [] { return false; });
  return 0;
}

int receive(lua_State* L) {
  using Clock = std::chrono::steady_clock;
  const double seconds = luaL_optnumber(L, 2, HUGE_VAL);
  auto& interrupts = vm::State::of(L).interrupts();
  const auto begin = Clock::now();
  const char* why = "closed";
  const auto line = check<serve::Caller>(L, 1)->receive([&] {
    if (interrupts.requested() || interrupts.take_wish()) why = "interrupted";
    else if (std::chrono::duration<double>(Clock::now() - begin).count() >= seconds) why = "late";
    else return false;
    return true;
  });
  push_line(L, line);
  if (line) return 1;
  lua_pushstring(L, why);
  return 2;
}

constexpr Row kDoor[] = {
    {"take", guarded<take>, "Returns the next line of the client without waiting.\n@return string|nil"},
    {"answer", guarded<answer>, "Sends a line to the client without waiting.\n@param line string"},
    {"run", guarded<run>,
     "Calls a function for the client, who may take it back, for so many seconds: what `contained` returns, and\n"
     "\"cancelled\" with why: asked (by the client), time, gone (the client has, where there is no limit).\n"
     "@param seconds number 0: no limit\n@param f fun(): ...any\n@return string how\n@return any ..."},
    {"close", guarded<close<serve::Door>>, "Closes it; its path is gone."},
    {nullptr, nullptr, nullptr},
};

constexpr Row kCaller[] = {
    {"send", guarded<send>, "Sends a line; Ctrl-C ends the wait for a side that does not read.\n@param line string"},
    {"receive", guarded<receive>,
     "Waits for a line. nil and why there is none: closed (by the other side), late, interrupted (by Ctrl-C, which is\n"
     "forgotten under host.graceful).\n@param seconds number|nil default: no limit\n@return string|nil\n"
     "@return string|nil why"},
    {"take_back", guarded<take_back>, "Has the other side give up what it does for this one."},
    {"close", guarded<close<serve::Caller>>, "Closes it."},
    {nullptr, nullptr, nullptr},
};

constexpr Row kRows[] = {
    {"folder", guarded<folder>,
     "Returns the folder of the sockets, which is made for the owner alone; an io error if it is not his alone.\n"
     "@return string"},
    {"is_program", guarded<is_program>,
     "Tells whether the process is the trainhost program, and not one that embeds it.\n@return boolean"},
    {"is_alive", guarded<is_alive>, "Tells whether there is a process.\n@param pid integer\n@return boolean"},
    {"door", guarded<open_door>,
     "Listens at a unix socket.\n@param path string\n@param busy string the line for a second client\n@return Door"},
    {"contained", guarded<contained>,
     "Calls a function in which os.exit ends the call alone.\n@param f fun(...): ...any\n"
     "@return string how returned (then the results), failed (the error), exited (the code) or cancelled\n"
     "@return any ..."},
    {"call", guarded<call>, "Connects to one; an io error if nobody listens.\n@param path string\n@return Caller"},
    {nullptr, nullptr, nullptr},
};

constexpr Row kNone[] = {{nullptr, nullptr, nullptr}};

}  // namespace

int open_serve(lua_State* L) {
  define<serve::Door>(L, kDoor, kNone);
  define<serve::Caller>(L, kCaller, kNone);
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
