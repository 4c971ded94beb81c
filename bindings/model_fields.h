// What the files of native.model share: how fields, slots and classes are reached.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "bindings/model.h"
#include "host/model/module.h"

namespace trainhost::bindings {

constexpr int kFields = 1, kClass = 2;  // user values

struct ModuleNames {
  const char* training = nullptr;  // short strings are interned: one address each, anchored in the registry
  bool hooked = false;             // there are hooks of all modules: every call goes through `_call_hooked`
  bool registering = false;        // what is registered goes through the class's `_registering` first
  struct Forwards {                // one of the two
    std::weak_ptr<torch::nn::Module> module;
    Forward own;
    ClassForward of_class;
  };
  std::unordered_map<const torch::nn::Module*, Forwards> forwards;
};

ModuleNames& module_names(lua_State* L);
inline ModuleHandle& handle_at(lua_State* L, int index) {
  return *static_cast<ModuleHandle*>(lua_touserdata(L, index));
}
inline torch::nn::Module& module_at(lua_State* L, int index) { return *check<torch::nn::Module>(L, index).module; }
// The string at `index`, the argument `name` of `function`.
const char* check_name(lua_State* L, int index, const char* function);

// Pushes the class of the module at `index`: a module from C++ gets the one that torch.nn sets for such.
void push_class(lua_State* L, int index);
// Pushes what the class of the module at 1 has under `key`; returns its type.
int push_class_field(lua_State* L, const char* key);
// Makes the class at 1 the one of modules from C++.
int set_foreign_class(lua_State* L);
// Pushes a new module of the class at `index`, without calling __init.
void push_with_class(lua_State* L, int index);
// The module at 1: fields[key at 2] = value at `value`.
void set_field(lua_State* L, int value, bool children_change = false);
// The module at 1, key at 2, value at 3: registers an nn.Buffer; false if the value is none.
bool assign_buffer(lua_State* L);
// The module at 1, key at 2, value at 3, about to be registered as a parameter, buffer or child: hooks may replace it.
void before_registration(lua_State* L, model::Slot slot);
// What Python calls the type of the value at `index`: "torch.FloatTensor", "int", a module's class.
std::string python_type(lua_State* L, int index);
// The module at 1, key at 2, value at 3: `module.key = value`.
int assign_field(lua_State* L);
// The module at 1: its children as a list, kept until one comes or goes.
int children_of(lua_State* L);

// "parameter", "buffer", "child" or "none".
const char* slot_name(model::Slot slot) noexcept;

void set_module_slots(lua_State* L);   // model_slots.cpp
void set_module_walks(lua_State* L);   // model_walk.cpp
void set_module_states(lua_State* L);  // model_state.cpp

}  // namespace trainhost::bindings
