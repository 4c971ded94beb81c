// native.model: the module userdata, its fields and slots, and the walks over module trees.
#include "bindings/model.h"

#include <string>
#include <unordered_map>

#include "bindings/tensor.h"
#include "host/model/module.h"

namespace trainhost::bindings {

using torch::nn::Module;

struct ModuleNames {
  const char* training = nullptr;  // short strings are interned: one address each, anchored in the registry
  std::unordered_map<const Module*, std::pair<std::weak_ptr<Module>, Forward>> forwards;
};

namespace {

constexpr int kFields = 1, kClass = 2;  // user values
char kIdentity, kNames, kForeignClass;  // registry keys: weak Module* -> userdata; ModuleNames; class

ModuleNames& names_of(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNames);
  auto* names = static_cast<ModuleNames*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *names;
}

ModuleHandle& handle_at(lua_State* L, int index) { return *static_cast<ModuleHandle*>(lua_touserdata(L, index)); }
Module& module_at(lua_State* L, int index) { return *check<Module>(L, index).module; }

const char* check_name(lua_State* L, int index, const char* function) {
  if (lua_type(L, index) != LUA_TSTRING) bad_argument(L, function, "name", "a string", index);
  return lua_tostring(L, index);
}

bool is_a(lua_State* L, TypeId type, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return false;
  const bool same = lua_topointer(L, -1) == vm::State::of(L).metatable(type);
  lua_pop(L, 1);
  return same;
}

// Pushes the class of the module at `index`: a module from C++ gets the one that torch.nn sets for such.
void push_class(lua_State* L, int index) {
  if (lua_getiuservalue(L, index, kClass) == LUA_TTABLE) return;
  lua_pop(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kForeignClass) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "torch.nn");
    lua_call(L, 1, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kForeignClass);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, kClass);
}

// Pushes what the class of the module at 1 has under `key`; returns its type.
int push_from_class(lua_State* L, const char* key) {
  push_class(L, 1);
  const int type = lua_getfield(L, -1, key);
  lua_remove(L, -2);
  return type;
}

int index(lua_State* L) {
  ModuleHandle& self = handle_at(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING && self.names && lua_tostring(L, 2) == self.names->training) {
    lua_pushboolean(L, model::is_training(module_at(L, 1)));
    return 1;
  }
  lua_getiuservalue(L, 1, kFields);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  push_class(L, 1);
  lua_pushvalue(L, 2);
  if (lua_gettable(L, -2) != LUA_TNIL) return 1;
  if (lua_isinteger(L, 2)) {
    if (push_from_class(L, "__getitem") == LUA_TNIL)
      throw_usage(model::class_name(module_at(L, 1)) + " is not a container: it cannot be indexed by a number");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
  }
  if (self.scripted || !self.module || lua_type(L, 2) != LUA_TSTRING) return 0;
  const std::string name = lua_tostring(L, 2);
  if (const ModulePtr child = model::child_at(*self.module, name)) {
    push_module(L, child);
    return 1;
  }
  const at::Tensor tensor = model::tensor_at(*self.module, name);
  if (!tensor.defined()) return 0;
  push_identity(L, tensor, model::slot_of(*self.module, name) == model::Slot::parameter);
  return 1;
}

// fields[key at 2] = value at `value`.
void set_field(lua_State* L, int value) {
  lua_getiuservalue(L, 1, kFields);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

[[noreturn]] void cannot_assign(lua_State* L, const char* as, const std::string& name, const char* expected) {
  throw_usage("cannot assign " + describe(L, 3) + " as " + as + " '" + name + "' (" + expected + " expected)");
}

int set_item(lua_State* L) {
  if (push_from_class(L, "__setitem") == LUA_TNIL) {
    lua_pop(L, 1);
    set_field(L, 3);
    return 0;
  }
  lua_insert(L, 1);
  lua_call(L, 3, 0);
  return 0;
}

int newindex(lua_State* L) {
  ModuleHandle& self = handle_at(L, 1);
  if (lua_type(L, 2) != LUA_TSTRING) return set_item(L);
  const bool plain = lua_type(L, 3) != LUA_TUSERDATA;
  if (plain) {
    if (lua_tostring(L, 2) == self.names->training) {
      model::set_training(module_at(L, 1), lua_toboolean(L, 3));
      return 0;
    }
    lua_getiuservalue(L, 1, kFields);
    lua_pushvalue(L, 2);
    const bool was_plain = lua_rawget(L, -2) != LUA_TUSERDATA;
    lua_pop(L, 2);
    if (was_plain && (self.scripted || lua_isnil(L, 3))) {
      if (!lua_isnil(L, 3) && model::slot_of(module_at(L, 1), lua_tostring(L, 2)) == model::Slot::parameter)
        cannot_assign(L, "parameter", lua_tostring(L, 2), "nn.Parameter or nil");
      set_field(L, 3);
      return 0;
    }
  }
  Module& module = module_at(L, 1);
  const std::string name = lua_tostring(L, 2);
  if (is_parameter(L, 3)) {
    model::set_parameter(module, name, check_tensor(L, 3));
    push_identity(L, check_tensor(L, 3), /*parameter=*/true);
    set_field(L, lua_gettop(L));
    return 0;
  }
  if (auto* child = test<Module>(L, 3)) {
    model::set_child(module, name, child->module);
    set_field(L, 3);
    return 0;
  }
  const model::Slot slot = model::slot_of(module, name);
  if (slot == model::Slot::none) {
    set_field(L, 3);
    return 0;
  }
  if (lua_isnil(L, 3)) {
    model::remove_slot(module, name);
  } else if (slot == model::Slot::buffer && test_tensor(L, 3)) {
    model::set_buffer(module, name, check_tensor(L, 3), model::is_persistent(module, name));
  } else {
    if (slot == model::Slot::parameter) cannot_assign(L, "parameter", name, "nn.Parameter or nil");
    if (slot == model::Slot::child) cannot_assign(L, "child module", name, "nn.Module or nil");
    cannot_assign(L, "buffer", name, "Tensor or nil");
  }
  set_field(L, 3);
  return 0;
}

// model(...): the forward of the object, else of its class. No table, no closure: only a call.
int call(lua_State* L) {
  const ModuleHandle& self = handle_at(L, 1);
  int type = LUA_TNIL;
  if (!self.hooked) {
    lua_getiuservalue(L, 1, kFields);
    type = lua_getfield(L, -1, "forward");
    lua_remove(L, -2);
  }
  if (type == LUA_TNIL) {
    lua_settop(L, self.hooked ? -1 : -2);
    type = push_from_class(L, self.hooked ? "_call_hooked" : "forward");
  }
  if (type == LUA_TNIL)
    throw_usage("module [" + model::class_name(module_at(L, 1)) + "] is missing the required \"forward\" function");
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// Metamethods that a class may define itself.
int forward_to_class(lua_State* L, const char* method, int nresults) {
  if (push_from_class(L, method) == LUA_TNIL) throw_usage(model::class_name(module_at(L, 1)) + " has no " + method);
  lua_pushvalue(L, 1);
  lua_call(L, 1, nresults);
  return nresults;
}
int length(lua_State* L) { return forward_to_class(L, "__len", 1); }
int pairs(lua_State* L) { return forward_to_class(L, "__pairs", 3); }
int text(lua_State* L) { return forward_to_class(L, "__repr", 1); }

// Pushes a new userdata without a class.
void push_new(lua_State* L, ModulePtr module) {
  const bool scripted = model::is_scripted(*module);
  const Module* address = module.get();
  push<Module>(L, {std::move(module), &names_of(L), scripted, false});
  lua_newtable(L);
  lua_setiuservalue(L, -2, kFields);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, address);
  lua_pop(L, 1);
}

void push_with_class(lua_State* L, int class_index) {
  class_index = lua_absindex(L, class_index);
  lua_getfield(L, class_index, "__name");
  push_new(L, model::make_module(lua_tostring(L, -1) ? lua_tostring(L, -1) : "Module"));
  lua_remove(L, -2);
  lua_pushvalue(L, class_index);
  lua_setiuservalue(L, -2, kClass);
}

// Class(...): a module, and its `__init(self, ...)`.
int construct(lua_State* L) {
  if (lua_type(L, 1) != LUA_TTABLE) bad_argument(L, "nn.class", "class", "a module class", 1);
  push_with_class(L, 1);
  const int self = lua_gettop(L);
  if (lua_getfield(L, 1, "__init") != LUA_TNIL) {
    lua_pushvalue(L, self);
    for (int i = 2; i < self; ++i) lua_pushvalue(L, i);
    lua_call(L, self - 1, 0);
  }
  lua_settop(L, self);
  return 1;
}

int new_module(lua_State* L) {
  if (lua_type(L, 1) != LUA_TTABLE) bad_argument(L, "native.model.new", "class", "a module class", 1);
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
int class_of(lua_State* L) {
  module_at(L, 1);
  push_class(L, 1);
  return 1;
}
int set_foreign_class(lua_State* L) {
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kForeignClass);
  return 0;
}
int set_hooked(lua_State* L) {
  check<Module>(L, 1).hooked = lua_toboolean(L, 2);
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
    throw_usage("cannot assign " + describe(L, 3) + " object to parameter '" + name +
                "' (nn.Parameter or nil required)");
  return newindex(L);
}

int register_buffer(lua_State* L) {
  Module& module = module_at(L, 1);
  const char* name = check_name(L, 2, "register_buffer");
  const bool persistent = lua_isnoneornil(L, 4) || lua_toboolean(L, 4);
  lua_settop(L, 3);
  at::Tensor tensor;
  if (!lua_isnil(L, 3)) {
    if (!test_tensor(L, 3))
      throw_usage("cannot assign " + describe(L, 3) + " object to buffer '" + name + "' (Tensor or nil required)");
    tensor = check_tensor(L, 3);
  }
  model::set_buffer(module, name, tensor, persistent);
  if (tensor.defined()) push_identity(L, tensor);
  set_field(L, lua_gettop(L));
  return 0;
}

int is_persistent(lua_State* L) {
  lua_pushboolean(L, model::is_persistent(module_at(L, 1), check_name(L, 2, "is_persistent")));
  return 1;
}

int slot(lua_State* L) {
  static constexpr const char* kNamesOfSlots[] = {"none", "parameter", "buffer", "child"};
  lua_pushstring(L, kNamesOfSlots[static_cast<int>(model::slot_of(module_at(L, 1), check_name(L, 2, "slot")))]);
  return 1;
}

// --- Walks: two lists, names and values

int push_tensors(lua_State* L, const model::NamedTensors& all, bool identity, bool parameter) {
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  for (size_t i = 0; i < all.size(); ++i) {
    lua_pushlstring(L, all[i].first.data(), all[i].first.size());
    lua_rawseti(L, -3, static_cast<lua_Integer>(i + 1));
    if (identity) push_identity(L, all[i].second, parameter);
    else push_tensor(L, all[i].second);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 2;
}

bool recursing(lua_State* L, int index) { return lua_isnoneornil(L, index) || lua_toboolean(L, index); }

int parameters(lua_State* L) {
  return push_tensors(L, model::parameters(module_at(L, 1), recursing(L, 2)), true, true);
}
int buffers(lua_State* L) { return push_tensors(L, model::buffers(module_at(L, 1), recursing(L, 2)), true, false); }
int state(lua_State* L) { return push_tensors(L, model::state(module_at(L, 1)), false, false); }

int push_modules(lua_State* L, const model::NamedModules& all) {
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  for (size_t i = 0; i < all.size(); ++i) {
    lua_pushlstring(L, all[i].first.data(), all[i].first.size());
    lua_rawseti(L, -3, static_cast<lua_Integer>(i + 1));
    push_module(L, all[i].second);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 2;
}
int modules(lua_State* L) { return push_modules(L, model::modules(check<Module>(L, 1).module)); }
int children(lua_State* L) { return push_modules(L, model::children(module_at(L, 1))); }

void push_names(lua_State* L, const std::vector<std::string>& names) {
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (size_t i = 0; i < names.size(); ++i) {
    lua_pushlstring(L, names[i].data(), names[i].size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

int load_state(lua_State* L) {
  Module& module = module_at(L, 1);
  if (lua_type(L, 2) != LUA_TTABLE) bad_argument(L, "load_state_dict", "names", "a list of names", 2);
  const std::vector<at::Tensor> tensors = check_tensors(L, 3, "load_state_dict", "state_dict");
  model::NamedTensors given;
  given.reserve(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    lua_rawgeti(L, 2, static_cast<lua_Integer>(i + 1));
    given.emplace_back(check_name(L, -1, "load_state_dict"), tensors[i]);
    lua_pop(L, 1);
  }
  const model::Mismatch names = model::load_state(module, given, lua_toboolean(L, 4));
  push_names(L, names.missing);
  push_names(L, names.unexpected);
  return 2;
}

// --- Whole trees

int to(lua_State* L) {
  Module& module = module_at(L, 1);
  std::optional<at::Device> device;
  std::optional<at::ScalarType> dtype;
  if (!lua_isnoneornil(L, 2)) device = check_device(L, 2);
  if (!lua_isnoneornil(L, 3)) dtype = check_dtype(L, 3);
  model::to(module, device, dtype, lua_toboolean(L, 4));
  return 0;
}

int is_dtype(lua_State* L) {
  lua_pushboolean(L, is_a(L, TypeId::dtype, 1));
  return 1;
}

int set_training(lua_State* L) {
  model::set_training(module_at(L, 1), lua_toboolean(L, 2));
  return 0;
}
int zero_grad(lua_State* L) {
  model::zero_grad(module_at(L, 1), recursing(L, 2));
  return 0;
}
int set_requires_grad(lua_State* L) {
  model::set_requires_grad(module_at(L, 1), lua_toboolean(L, 2));
  return 0;
}

// --- Modules written in C++

int foreign_forward(lua_State* L) {
  const ModulePtr& module = check_module(L, 1);
  auto& forwards = names_of(L).forwards;
  const auto found = forwards.find(module.get());
  if (found == forwards.end() || found->second.first.lock() != module)
    throw_usage("module [" + model::class_name(*module) + "] has no forward that a script can call",
                "the C++ program gives one when it hands the module over");
  std::vector<at::Tensor> inputs;
  for (int i = 2; i <= lua_gettop(L); ++i) inputs.push_back(check_tensor(L, i));
  std::vector<at::Tensor> outputs = found->second.second(std::move(inputs));
  lua_settop(L, 0);
  luaL_checkstack(L, static_cast<int>(outputs.size()), "too many results");
  for (at::Tensor& output : outputs) push_tensor(L, std::move(output));
  return static_cast<int>(outputs.size());
}

int clone_foreign(lua_State* L) {
  push_module(L, model::clone_foreign(module_at(L, 1)));
  return 1;
}

int describe_foreign(lua_State* L) {
  const std::string text = model::describe(module_at(L, 1));
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

constexpr Row kMetamethods[] = {
    {"__index", guarded<index>, ""}, {"__newindex", guarded<newindex>, ""}, {"__call", guarded<call>, ""},
    {"__len", guarded<length>, ""},  {"__pairs", guarded<pairs>, ""},       {"__tostring", guarded<text>, ""},
    {nullptr, nullptr, nullptr},
};

constexpr Row kFunctions[] = {
    {"construct", guarded<construct>, "---Makes a module of a class and calls its __init.\n---@return Module"},
    {"new", guarded<new_module>, "---Makes a module of a class without calling __init.\n---@return Module"},
    {"is_module", guarded<is_module>, "---Is the value a module?\n---@return boolean"},
    {"is_foreign", guarded<is_foreign>, "---Was the module written in C++?\n---@return boolean"},
    {"is_dtype", guarded<is_dtype>, "---Is the value a dtype?\n---@return boolean"},
    {"fields", guarded<fields>, "---The table of a module's Lua fields, its slots included.\n---@return table"},
    {"class_of", guarded<class_of>, "---The class of a module.\n---@return table"},
    {"set_foreign_class", guarded<set_foreign_class>,
     "---Sets the class of modules written in C++.\n---@param class table"},
    {"set_hooked", guarded<set_hooked>, "---Sends calls of the module through its hooks.\n---@param on boolean"},
    {"register_parameter", guarded<register_parameter>,
     "---Adds a parameter, or reserves its name with nil.\n---@param name string\n---@param parameter Tensor?"},
    {"register_buffer", guarded<register_buffer>,
     "---Adds a buffer, or reserves its name with nil.\n---@param name string\n---@param tensor Tensor?\n---@param "
     "persistent boolean? default true"},
    {"is_persistent", guarded<is_persistent>,
     "---Is the buffer saved in state dicts?\n---@param name string\n---@return boolean"},
    {"slot", guarded<slot>,
     "---What a name is: none, parameter, buffer or child.\n---@param name string\n---@return string"},
    {"parameters", guarded<parameters>,
     "---Names and tensors of the parameters.\n---@param recurse boolean? default true\n---@return string[], Tensor[]"},
    {"buffers", guarded<buffers>,
     "---Names and tensors of the buffers.\n---@param recurse boolean? default true\n---@return string[], Tensor[]"},
    {"modules", guarded<modules>,
     "---Names and modules of the tree, the module itself first.\n---@return string[], Module[]"},
    {"children", guarded<children>, "---Names and modules of the children.\n---@return string[], Module[]"},
    {"state", guarded<state>, "---Names and detached tensors of the state dict.\n---@return string[], Tensor[]"},
    {"load_state", guarded<load_state>,
     "---Copies tensors by name into the module.\n---@param names string[]\n---@param tensors Tensor[]\n---@param "
     "strict boolean\n---@return string[] missing, string[] unexpected"},
    {"to", guarded<to>,
     "---Converts parameters and buffers in place.\n---@param device string?\n---@param dtype dtype?\n---@param "
     "non_blocking boolean?"},
    {"set_training", guarded<set_training>, "---Sets the training flag of this module alone.\n---@param on boolean"},
    {"zero_grad", guarded<zero_grad>, "---Clears the gradients.\n---@param set_to_none boolean? default true"},
    {"set_requires_grad", guarded<set_requires_grad>, "---Sets requires_grad of all parameters.\n---@param on boolean"},
    {"foreign_forward", guarded<foreign_forward>, "---Calls a module written in C++.\n---@return Tensor ..."},
    {"clone_foreign", guarded<clone_foreign>, "---Copies a module written in C++.\n---@return Module"},
    {"describe_foreign", guarded<describe_foreign>, "---What LibTorch prints for a module.\n---@return string"},
    {nullptr, nullptr, nullptr},
};

int collect_names(lua_State* L) {
  static_cast<ModuleNames*>(lua_touserdata(L, 1))->~ModuleNames();
  return 0;
}

}  // namespace

void push_module(lua_State* L, const ModulePtr& module) {
  if (!module) return lua_pushnil(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  if (lua_rawgetp(L, -1, module.get()) == LUA_TUSERDATA && handle_at(L, -1).module == module) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 2);
  push_new(L, module);
}

void push_module(lua_State* L, const ModulePtr& module, Forward forward) {
  push_module(L, module);
  auto& forwards = names_of(L).forwards;
  std::erase_if(forwards, [](const auto& entry) { return entry.second.first.expired(); });
  if (module) forwards[module.get()] = {module, std::move(forward)};
}

const ModulePtr& check_module(lua_State* L, int index) { return check<Module>(L, index).module; }

std::vector<at::Tensor> check_tensors(lua_State* L, int index, const char* function, const char* name) {
  if (lua_type(L, index) != LUA_TTABLE) bad_argument(L, function, name, "a list of tensors", index);
  index = lua_absindex(L, index);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(count));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, index, i);
    if (!test_tensor(L, -1)) bad_argument(L, function, name, "a list of tensors", -1);
    tensors.push_back(check_tensor(L, -1));
    lua_pop(L, 1);
  }
  return tensors;
}

int open_model(lua_State* L) {
  define<Module>(L, nullptr, kMetamethods);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kIdentity);
  auto* names = new (lua_newuserdatauv(L, sizeof(ModuleNames), 1)) ModuleNames();
  names->training = lua_pushstring(L, "training");
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect_names);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kNames);
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
