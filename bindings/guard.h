// The one place where C++ exceptions become Lua errors.
#pragma once

#include <exception>
#include <lua.hpp>
#include <optional>
#include <string>

#include "host/base/error.h"

namespace trainhost::bindings {

// What a caught exception says. Never made from `catch (...)`: that would swallow Lua's own throw.
struct Caught {
  ErrorKind kind = ErrorKind::internal;
  std::string message, hint;
};

// Reads the exception in flight (c10::Error without its C++ backtrace, trainhost::Error, std::exception).
// Call inside `catch (const std::exception&)`.
Caught caught(const std::exception& e);

// Raises an error value {kind, message, op, hint, where, trace} in Lua. `op` may be empty.
[[noreturn]] void raise(lua_State* L, const Caught& what, const char* op = "");
// Pushes that value without raising it. `where` is the user's innermost line.
void push_error(lua_State* L, const Caught& what, const char* op = "");
// The Error that a Lua error value on top of the stack stands for (any value can be thrown); pops it.
Error pop_error(lua_State* L);
// Turns the value on top of the stack into an error value with traceback: a message handler for lua_pcall.
int message_handler(lua_State* L);
// "train.lua:12" for the innermost frame that is not of the standard library; empty if there is none.
std::string user_line(lua_State* L);

// Every C++ function that Lua can call is registered as guarded<fn>. The catch block is left before the raise,
// so that the exception is destroyed first.
template <lua_CFunction fn>
int guarded(lua_State* L) {
  std::optional<Caught> what;
  try {
    return fn(L);
  } catch (const std::exception& e) {
    what = caught(e);
  }
  raise(L, *what);
}

// One row of a native module or a type: the Lua name, the guarded function, and its LuaCATS docstring.
struct Row {
  const char* name;
  lua_CFunction function;
  const char* doc;
};

// Sets the functions of `rows` (ended by a null name) in the table on top of the stack.
void set_functions(lua_State* L, const Row* rows);

// --- Arguments. `arg` is a Lua index; the message reads "bad argument 'name' ..., expected ..., got ...".
[[noreturn]] void bad_argument(lua_State* L, const char* function, const char* name, const char* expected, int arg);
// What a value is, in an error message: `number 3`, `string "x"`, `Tensor[2, 3] float32`, `nil`.
std::string describe(lua_State* L, int index);

}  // namespace trainhost::bindings
