// Errors as Lua values: how they are made, raised, shown and read back.
#pragma once

#include <string>

#include "host/base/error.h"

struct lua_State;

namespace trainhost::vm {

// What went wrong, before it is a Lua value.
struct Fault {
  ErrorKind kind = ErrorKind::internal;
  std::string message, hint;
  std::string type = {};  // the name of Python's class, "LinAlgError"; may be empty
};

// Defines the error type in a new state.
void open_errors(lua_State* L);

// Pushes {kind, message, op, hint, type, where, trace}: `where` is the user's innermost line ("train.lua:12"), `trace`
// the traceback. tostring gives "where: message (hint)". `op` may be empty.
void push_error(lua_State* L, const Fault& fault, const char* op = "");
// Pushes and raises it.
[[noreturn]] void raise(lua_State* L, const Fault& fault, const char* op = "");
// Pops the error value on top of the stack (any Lua value can have been thrown) as an Error.
Error pop_error(lua_State* L);
// The message handler for lua_pcall: turns the value into an error value with its traceback.
int message_handler(lua_State* L);

// An error that Lua itself raises, with a message that ends so, gets this hint.
void add_hint(lua_State* L, const char* ending, const char* hint);

}  // namespace trainhost::vm
