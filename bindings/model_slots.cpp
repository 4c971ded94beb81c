// native.model, first part of its functions: making modules, their fields and slots, modules written in C++.
#include <string>
#include <vector>

#include "bindings/model_fields.h"
#include "bindings/tensor.h"
#include "host/model/module.h"
#include "host/tensor/uninitialized.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {
namespace {

using torch::nn::Module;

// Class(...): a module, and its `__init(self, ...)`.
int construct(lua_State* L) {
  if (lua_type(L, 1) != LUA_TTABLE) throw_argument(L, "nn.class", "class", "a module class", 1);
  push_with_class(L, 1);
  if (lua_getfield(L, 1, "__init") == LUA_TNIL) return lua_pop(L, 1), 1;
  // self, __init, self, arguments: as many slots as there were, however many arguments.
  lua_pushvalue(L, -2);
  lua_replace(L, 1);
  lua_insert(L, -2);
  lua_rotate(L, 2, 2);
  lua_call(L, lua_gettop(L) - 2, 0);
  lua_settop(L, 1);
  return 1;
}

int new_module(lua_State* L) {
  if (lua_type(L, 1) != LUA_TTABLE) throw_argument(L, "native.model.new", "class", "a module class", 1);
  push_with_class(L, 1);
  return 1;
}

int is_module(lua_State* L) {
  lua_pushboolean(L, test<Module>(L, 1) != nullptr);
  return 1;
}
int is_foreign(lua_State* L) {
  lua_pushboolean(L, !check<Module>(L, 1).scripted);
  return 1;
}
int fields(lua_State* L) {
  module_at(L, 1);
  lua_getiuservalue(L, 1, kFields);
  return 1;
}

// nn.Parameter(data): the same memory, without history.
int new_parameter(lua_State* L) {
  at::Tensor parameter = check_tensor(L, 1).detach();
  parameter.set_requires_grad(lua_toboolean(L, 2));
  push_identity(L, parameter, /*parameter=*/true);
  return 1;
}
// Pushes the weak table of tensors that nn.Buffer made: whether each is persistent.
void push_buffers(lua_State* L) {
  static char key;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  vm::push_weak_table(L, "k");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

// nn.Buffer(data): the same memory, without history; a module that it is assigned to registers it.
int new_buffer(lua_State* L) {
  const bool persistent = lua_toboolean(L, 2);
  push_identity(L, check_tensor(L, 1).detach());
  push_buffers(L);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, persistent);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return 1;
}

int is_a_parameter(lua_State* L) {
  lua_pushboolean(L, is_parameter(L, 1));
  return 1;
}

int class_of(lua_State* L) {
  module_at(L, 1);
  push_class(L, 1);
  return 1;
}
int set_class(lua_State* L) {
  module_at(L, 1);
  if (lua_type(L, 2) != LUA_TTABLE) throw_argument(L, "native.model.set_class", "class", "a module class", 2);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, kClass);
  return 0;
}
int is_hooked(lua_State* L) {
  lua_pushboolean(L, check<Module>(L, 1).hooked);
  return 1;
}
int set_hooked(lua_State* L) {
  check<Module>(L, 1).hooked = lua_toboolean(L, 2);
  return 0;
}
int set_all_hooked(lua_State* L) {
  module_names(L).hooked = lua_toboolean(L, 1);
  return 0;
}
int set_registering(lua_State* L) {
  module_names(L).registering = lua_toboolean(L, 1);
  return 0;
}

int is_uninitialized(lua_State* L) {
  const at::Tensor* tensor = test_tensor(L, 1);
  lua_pushboolean(L, tensor && tensor::is_uninitialized(*tensor));
  return 1;
}
int set_uninitialized(lua_State* L) {
  tensor::set_uninitialized(check_tensor(L, 1));
  return 0;
}

// --- Slots

int register_parameter(lua_State* L) {
  Module& module = module_at(L, 1);
  const char* name = check_name(L, 2, "register_parameter");
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    model::set_parameter(module, name, {});
    set_field(L, 3);
    return 0;
  }
  if (!is_parameter(L, 3))
    throw_usage("cannot assign '" + python_type(L, 3) + "' object to parameter '" + name +
                "' (torch.nn.Parameter or None required)");
  return assign_field(L);
}

int register_buffer(lua_State* L) {
  Module& module = module_at(L, 1);
  const char* name = check_name(L, 2, "register_buffer");
  const bool persistent = lua_isnoneornil(L, 4) || lua_toboolean(L, 4);
  lua_settop(L, 3);
  at::Tensor tensor;
  if (!lua_isnil(L, 3)) {
    if (!test_tensor(L, 3))
      throw_usage("cannot assign '" + python_type(L, 3) + "' object to buffer '" + name +
                  "' (torch Tensor or None required)");
  }
  before_registration(L, model::Slot::buffer);
  if (!lua_isnil(L, 3)) tensor = check_tensor(L, 3);
  model::set_buffer(module, name, tensor, persistent);
  if (tensor.defined()) push_identity(L, tensor);
  set_field(L, lua_gettop(L));
  return 0;
}

// Adds a child slot without a child.
int reserve_child(lua_State* L) {
  model::set_child(module_at(L, 1), check_name(L, 2, "add_module"), nullptr);
  lua_pushnil(L);
  set_field(L, lua_gettop(L), /*children_change=*/true);
  return 0;
}

// --- Modules written in C++

int foreign_forward(lua_State* L) {
  const ModulePtr& module = check_module(L, 1);
  auto& forwards = module_names(L).forwards;
  const auto found = forwards.find(module.get());
  if (found == forwards.end() || found->second.module.lock() != module)
    throw_usage("module [" + model::class_name(*module) + "] has no forward that a script can call",
                "the C++ program gives one when it hands the module over");
  std::vector<at::Tensor> inputs;
  for (int i = 2; i <= lua_gettop(L); ++i) inputs.push_back(check_tensor(L, i));
  const ModuleNames::Forwards forward = found->second;
  std::vector<at::Tensor> outputs =
      forward.of_class ? forward.of_class(*module, std::move(inputs)) : forward.own(std::move(inputs));
  lua_settop(L, 0);
  luaL_checkstack(L, static_cast<int>(outputs.size()), "too many results");
  for (at::Tensor& output : outputs) push_tensor(L, std::move(output));
  return static_cast<int>(outputs.size());
}

constexpr Row kFunctions[] = {
    {"construct", guarded<construct>, "---Makes a module of a class and calls its __init.\n---@return Module"},
    {"new", guarded<new_module>, "---Makes a module of a class without calling __init.\n---@return Module"},
    {"is_module", guarded<is_module>,
     "---Is the value a module?\n---@return boolean"
     "\n@example nn.is_module(nn.ReLU())  --> true"},
    {"is_foreign", guarded<is_foreign>, "---Was the module written in C++?\n---@return boolean"},
    {"fields", guarded<fields>, "---The table of a module's Lua fields, its slots included.\n---@return table"},
    {"children_of", guarded<children_of>, "---The children as a list.\n---@return Module[]"},
    {"parameter", guarded<new_parameter>,
     "---A parameter that shares memory with a tensor.\n---@param data Tensor\n---@param requires_grad "
     "boolean\n---@return Tensor"},
    {"buffer", guarded<new_buffer>,
     "---A tensor that becomes a buffer of the module to which it is assigned.\n---@param data Tensor\n---@param "
     "persistent boolean\n---@return Tensor"},
    {"is_parameter", guarded<is_a_parameter>, "---Is the value a parameter?\n---@return boolean"},
    {"class_of", guarded<class_of>, "---The class of a module.\n---@return table"},
    {"set_foreign_class", guarded<set_foreign_class>,
     "---Sets the class of modules written in C++.\n---@param class table"},
    {"set_class", guarded<set_class>, "---Makes a module one of another class.\n---@param class table"},
    {"is_hooked", guarded<is_hooked>, "---Do calls of the module go through its hooks?\n---@return boolean"},
    {"set_all_hooked", guarded<set_all_hooked>, "---Sends calls of all modules through hooks.\n---@param on boolean"},
    {"set_registering", guarded<set_registering>,
     "---Shows what modules register to their `_registering` first.\n---@param on boolean"},
    {"is_uninitialized", guarded<is_uninitialized>,
     "---Is it a tensor whose shape is not known yet?\n---@return boolean"},
    {"set_uninitialized", guarded<set_uninitialized>,
     "---Makes a tensor one whose shape is not known yet.\n---@param tensor Tensor"},
    {"set_hooked", guarded<set_hooked>, "---Sends calls of the module through its hooks.\n---@param on boolean"},
    {"register_parameter", guarded<register_parameter>,
     "---Adds a parameter, or reserves its name with nil.\n---@param name string\n---@param parameter Tensor?"},
    {"register_buffer", guarded<register_buffer>,
     "---Adds a buffer, or reserves its name with nil.\n---@param name string\n---@param tensor Tensor?\n---@param "
     "persistent boolean? default true"},
    {"reserve_child", guarded<reserve_child>, "---Reserves the name of a child.\n---@param name string"},
    {"foreign_forward", guarded<foreign_forward>, "---Calls a module written in C++.\n---@return Tensor ..."},
    {nullptr, nullptr, nullptr},
};

}  // namespace

bool assign_buffer(lua_State* L) {
  if (lua_isnil(L, 3) || !test_tensor(L, 3)) return false;
  push_buffers(L);
  lua_pushvalue(L, 3);
  const int type = lua_rawget(L, -2);
  const bool persistent = lua_toboolean(L, -1);
  lua_pop(L, 2);
  if (type == LUA_TNIL) return false;
  before_registration(L, model::Slot::buffer);
  model::set_buffer(module_at(L, 1), check_name(L, 2, "register_buffer"), check_tensor(L, 3), persistent);
  set_field(L, 3);
  return true;
}

void set_module_slots(lua_State* L) { set_functions(L, kFunctions); }

}  // namespace trainhost::bindings
