// The one place where C++ exceptions become Lua errors.
#pragma once

#include <exception>
#include <lua.hpp>
#include <memory>
#include <optional>
#include <string>

#include "host/vm/errors.h"

namespace trainhost::bindings {

class Reference;

// What C++ threw; `value` is what a Lua function raised that C++ had called.
struct Caught : vm::Fault {
  std::shared_ptr<const Reference> value;
};

// Reads the exception in flight (c10::Error without its C++ backtrace, trainhost::Error, std::exception). Never
// used with `catch (...)`: that would swallow Lua's own throw.
Caught caught(const std::exception& e) noexcept;
[[noreturn]] void raise(lua_State* L, const Caught& caught, const char* op = "");

// Every C++ function that Lua can call is registered as guarded<fn>. The catch block is left before the raise,
// so that the exception is destroyed first.
template <lua_CFunction fn>
int guarded(lua_State* L) {
  std::optional<Caught> fault;
  try {
    return fn(L);
  } catch (const std::exception& e) {
    fault = caught(e);
  }
  raise(L, *fault);
}

// Collects everything, so that memory comes back.
void collect_all(lua_State* L);

// The same for a function that may be called twice, as it changes nothing before it fails: when memory runs out, what
// the script holds no more is collected and the function is called once more.
template <lua_CFunction fn>
int guarded_repeatable(lua_State* L) {
  const int top = lua_gettop(L);
  std::optional<Caught> fault;
  for (bool again = false;; again = true) {
    try {
      return fn(L);
    } catch (const std::exception& e) {
      fault = caught(e);
    }
    if (again || fault->kind != ErrorKind::memory) break;
    lua_settop(L, top);
    collect_all(L);
  }
  raise(L, *fault);
}

// One row of a native module or a type: the Lua name, the guarded function, and its LuaCATS docstring.
struct Row {
  const char* name;
  lua_CFunction function;
  const char* doc;
};

// Sets the functions of `rows` (ended by a null name, alive as long as the program) in the table on top of the stack,
// and notes where they are: docstrings are read from the rows when somebody asks.
void set_functions(lua_State* L, const Row* rows);
// Pushes the note: {[light userdata Row*] = the table they were set in}.
void push_row_tables(lua_State* L);

// What a value is, in an error message: `number 3`, `string "x"`, `Tensor[2, 3] float32`, `nil`.
std::string describe(lua_State* L, int index);
// "torch.X: argument 'name' must be EXPECTED, got ..." as a usage error.
[[noreturn]] void throw_argument(lua_State* L, const char* function, const char* name, const char* expected, int index);

}  // namespace trainhost::bindings
