// Modules as Lua values, and the way for C++ programs to hand over theirs.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "bindings/object.h"

namespace torch::nn {
class Module;
}

namespace trainhost::bindings {

using ModulePtr = std::shared_ptr<torch::nn::Module>;
// What a call of a module written in C++ does: torch::nn::Module itself has no forward.
using Forward = std::function<std::vector<at::Tensor>(std::vector<at::Tensor>)>;
// The same for every module of its class: a copy of the module is called by it, too.
using ClassForward = std::function<std::vector<at::Tensor>(torch::nn::Module&, std::vector<at::Tensor>)>;

struct ModuleNames;  // of one state: strings compared by address, foreign forwards

// Its two user values: the table of Lua fields (plain ones, and the cached parameters, buffers and children of
// a scripted module) and its class.
struct ModuleHandle {
  ModulePtr module;
  ModuleNames* names = nullptr;
  bool scripted = false;
  bool hooked = false;  // a call goes through the class's `_call_hooked`
  explicit operator bool() const noexcept { return module != nullptr; }
};

template <>
struct Type<torch::nn::Module> {
  using Handle = ModuleHandle;
  static constexpr TypeId id = TypeId::module;
  static constexpr const char* name = "Module";
  static constexpr int user_values = 2;
};

// Pushes the one userdata of this module in this state (nil for null). After open_all.
void push_module(lua_State* L, const ModulePtr& module);
// The same for a module that Lua can call: `forward` is kept as long as the module lives.
void push_module(lua_State* L, const ModulePtr& module, Forward forward);
void push_module(lua_State* L, const ModulePtr& module, ClassForward forward);
// Keeps the userdata at `index`, its fields and its class as long as something besides Lua holds the module: for one
// that C++ is given and may hand back.
void keep_module(lua_State* L, int index);
// The module at `index`; usage error otherwise.
const ModulePtr& check_module(lua_State* L, int index);

// The tensors of the Lua list at `index`, an argument called `name` of `function`.
std::vector<at::Tensor> check_tensors(lua_State* L, int index, const char* function, const char* name);

}  // namespace trainhost::bindings
