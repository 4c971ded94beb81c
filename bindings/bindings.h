// The one door from the host into the bindings.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct lua_State;

namespace torch::nn {
class Module;
}

namespace trainhost {
class Value;
using NativeFunction = std::function<std::vector<Value>(std::span<const Value>)>;
using ModuleFunction = std::function<std::vector<Value>(torch::nn::Module&, std::span<const Value>)>;
namespace vm {
class State;
}
}  // namespace trainhost

namespace trainhost::bindings {

// Registers every native module as "native.NOUN", for the standard library's `require`. Once per state.
void open_all(lua_State* L);

// While it lives, what LibTorch warns of on this thread is logged as "warning: train.lua:12: ...", once for each place
// in the script and in LibTorch, as Python's default filter does.
class WarningScope {
 public:
  explicit WarningScope(lua_State* L);
  ~WarningScope();

 private:
  struct Handler;
  std::unique_ptr<Handler> handler_;
};

// These throw Errors, Lua's own among them, and leave nothing on the stack then.
// Pushes a value of the C++ API.
void push_value(lua_State* L, const Value& value);
// What a call of this module does that Lua holds: it was written in C++.
void set_forward(lua_State* L, const std::shared_ptr<torch::nn::Module>& module, NativeFunction forward);
void set_forward(lua_State* L, const std::shared_ptr<torch::nn::Module>& module, ModuleFunction forward);
// Pops `count` values; a usage Error for what does not cross to C++ (threads, other userdata).
std::vector<Value> take_values(lua_State* L, int count);
void drop_values(lua_State* L, int count);
// Pops a function and calls it; its results stay on the stack. Returns how many.
int call_pushed(vm::State& state, std::span<const Value> arguments);

// The Lua inside, and the LibTorch that is loaded: "2.13.0", its folder, and whether libtorch_cuda lies there.
std::string lua_version();
std::string torch_version();
std::string torch_folder();
bool torch_has_cuda();

}  // namespace trainhost::bindings
