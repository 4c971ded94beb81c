// native.model, the userdata: how fields are read and written, calls, identity.
#include <string>

#include "bindings/model_fields.h"
#include "bindings/owned.h"
#include "bindings/slice.h"
#include "bindings/tensor.h"
#include "host/model/module.h"
#include "host/vm/modules.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {

using torch::nn::Module;

namespace {

// Registry keys: weak Module* -> userdata; the same, strong (keep_module); ModuleNames; class.
char kIdentity, kKept, kNames, kForeignClass;

// The field at 2 of the module at 1 if its class computes it: `__get(self, name)`. Only what is found nowhere else gets
// here.
bool push_property(lua_State* L) {
  if (push_class_field(L, "__get") == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

int index(lua_State* L) {
  const ModuleHandle& self = check<Module>(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING && lua_tostring(L, 2) == self.names->training) {
    lua_pushboolean(L, model::is_training(module_at(L, 1)));
    return 1;
  }
  lua_getiuservalue(L, 1, kFields);
  lua_pushvalue(L, 2);
  if (lua_gettable(L, -2) != LUA_TNIL) return 1;
  push_class(L, 1);
  lua_pushvalue(L, 2);
  if (lua_gettable(L, -2) != LUA_TNIL) return 1;
  if (lua_type(L, 2) == LUA_TSTRING && push_property(L)) return 1;
  if (lua_type(L, 2) == LUA_TNUMBER || is_slice(L, 2)) {
    if (push_class_field(L, "__getitem") != LUA_TNIL) {
      lua_pushvalue(L, 1);
      lua_pushvalue(L, 2);
      lua_call(L, 2, 1);
      return 1;
    }
    if (lua_type(L, 2) != LUA_TSTRING)
      throw_usage(model::class_name(module_at(L, 1)) + " is not a container: it cannot be indexed by a " +
                  (lua_type(L, 2) == LUA_TNUMBER ? "number" : "slice"));
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

// model(...): the forward of the object, else of its class. No table, no closure: only a call.
int call(lua_State* L) {
  const ModuleHandle& self = check<Module>(L, 1);
  int type = LUA_TNIL;
  if (self.hooked || self.names->hooked) {
    type = push_class_field(L, "_call_hooked");
  } else {
    lua_getiuservalue(L, 1, kFields);
    type = lua_getfield(L, -1, "forward");
    lua_remove(L, -2);
    if (type == LUA_TNIL) {
      lua_pop(L, 1);
      type = push_class_field(L, "forward");
    }
  }
  if (type == LUA_TNIL)
    throw_usage("Module [" + model::class_name(module_at(L, 1)) + "] is missing the required \"forward\" function");
  // The module stays below the call, where an error that names it finds it (called.h).
  lua_pushvalue(L, 1);
  lua_rotate(L, 2, 2);
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

// Metamethods that a class may define itself.
int forward_to_class(lua_State* L, const char* method, int nresults) {
  check<Module>(L, 1);
  if (push_class_field(L, method) == LUA_TNIL) throw_usage(model::class_name(module_at(L, 1)) + " has no " + method);
  lua_pushvalue(L, 1);
  lua_call(L, 1, nresults);
  return nresults;
}
int length(lua_State* L) { return forward_to_class(L, "__len", 1); }
int pairs(lua_State* L) { return forward_to_class(L, "__pairs", 3); }
int text(lua_State* L) { return forward_to_class(L, "__repr", 1); }

// a + b: the method of the first operand that is a module whose class has one, called with both as they stand.
int operate(lua_State* L, const char* method, const char* sign) {
  for (int side = 1; side <= 2; ++side) {
    if (!test<Module>(L, side)) continue;
    push_class(L, side);
    if (lua_getfield(L, -1, method) != LUA_TNIL) {
      lua_pushvalue(L, 1);
      lua_pushvalue(L, 2);
      lua_call(L, 2, 1);
      return 1;
    }
    lua_settop(L, 2);
  }
  throw_usage(std::string("unsupported operand type(s) for ") + sign + ": '" + python_type(L, 1) + "' and '" +
              python_type(L, 2) + "'");
}
int add(lua_State* L) { return operate(L, "__add", "+"); }
int multiply(lua_State* L) { return operate(L, "__mul", "*"); }
int unite(lua_State* L) { return operate(L, "__bor", "|"); }

constexpr Row kMetamethods[] = {
    {"__index", guarded<index>, ""}, {"__newindex", guarded<assign_field>, ""}, {"__call", guarded<call>, ""},
    {"__len", guarded<length>, ""},  {"__pairs", guarded<pairs>, ""},           {"__tostring", guarded<text>, ""},
    {"__add", guarded<add>, ""},     {"__mul", guarded<multiply>, ""},          {"__bor", guarded<unite>, ""},
    {nullptr, nullptr, nullptr},
};

// Pushes a new userdata without a class.
void push_new(lua_State* L, ModulePtr module) {
  const bool scripted = model::is_scripted(*module);
  const Module* address = module.get();
  push<Module>(L, {std::move(module), &module_names(L), scripted, false});
  lua_newtable(L);
  lua_setiuservalue(L, -2, kFields);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, address);
  lua_pop(L, 1);
}

}  // namespace

int push_class_field(lua_State* L, const char* key) {
  push_class(L, 1);
  const int type = lua_getfield(L, -1, key);
  lua_remove(L, -2);
  return type;
}

ModuleNames& module_names(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNames);
  auto* names = static_cast<ModuleNames*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *names;
}

const char* check_name(lua_State* L, int index, const char* function) {
  if (lua_type(L, index) != LUA_TSTRING) throw_argument(L, function, "name", "a string", index);
  return lua_tostring(L, index);
}

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

int set_foreign_class(lua_State* L) {
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kForeignClass);
  return 0;
}
void push_with_class(lua_State* L, int class_index) {
  class_index = lua_absindex(L, class_index);
  lua_getfield(L, class_index, "__name");
  push_new(L, model::make_module(lua_tostring(L, -1) ? lua_tostring(L, -1) : "Module"));
  lua_remove(L, -2);
  lua_pushvalue(L, class_index);
  lua_setiuservalue(L, -2, kClass);
}

void push_module(lua_State* L, const ModulePtr& module) {
  if (!module) return lua_pushnil(L);
  if (!vm::State::of(L).metatable(TypeId::module)) {  // no script has asked for native.model yet
    vm::push_native(L, "native.model");
    lua_pop(L, 1);
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kIdentity);
  if (lua_rawgetp(L, -1, module.get()) == LUA_TUSERDATA && handle_at(L, -1).module == module) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 2);
  push_new(L, module);
}

static void push_with_forward(lua_State* L, const ModulePtr& module, Forward own, ClassForward of_class) {
  push_module(L, module);
  auto& forwards = module_names(L).forwards;
  std::erase_if(forwards, [](const auto& entry) { return entry.second.module.expired(); });
  if (module) forwards[module.get()] = {module, std::move(own), std::move(of_class)};
}
void push_module(lua_State* L, const ModulePtr& module, Forward forward) {
  push_with_forward(L, module, std::move(forward), nullptr);
}
void push_module(lua_State* L, const ModulePtr& module, ClassForward forward) {
  push_with_forward(L, module, nullptr, std::move(forward));
}

void keep_module(lua_State* L, int index) {
  index = lua_absindex(L, index);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kKept) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kKept);
  }
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (handle_at(L, -1).module.use_count() == 1) {  // C++ has let go of it
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, -5);
    }
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, handle_at(L, index).module.get());
  lua_pop(L, 1);
}

const ModulePtr& check_module(lua_State* L, int index) { return check<Module>(L, index).module; }

std::vector<at::Tensor> check_tensors(lua_State* L, int index, const char* function, const char* name) {
  if (lua_type(L, index) != LUA_TTABLE) throw_argument(L, function, name, "a list of tensors", index);
  index = lua_absindex(L, index);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(count));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, index, i);
    if (!test_tensor(L, -1)) throw_argument(L, function, name, "a list of tensors", -1);
    tensors.push_back(check_tensor(L, -1));
    lua_pop(L, 1);
  }
  return tensors;
}

int open_model(lua_State* L) {
  define<Module>(L, nullptr, kMetamethods);
  vm::push_weak_table(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kIdentity);
  auto* names = new (lua_newuserdatauv(L, sizeof(ModuleNames), 1)) ModuleNames();
  names->training = lua_pushstring(L, "training");
  lua_setiuservalue(L, -2, 1);
  set_collected<ModuleNames>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kNames);
  lua_newtable(L);
  set_module_slots(L);
  set_module_walks(L);
  set_module_states(L);
  return 1;
}

}  // namespace trainhost::bindings
