// module.field = value: plain fields, and what is registered as a parameter, a buffer or a child.
#include <string>

#include "bindings/model_fields.h"
#include "bindings/slice.h"
#include "bindings/tensor.h"
#include "host/model/module.h"

namespace trainhost::bindings {

using torch::nn::Module;

namespace {

char kChildren;  // key in the fields: the list of children

// The value at 3 over a slot that takes no such value.
[[noreturn]] void cannot_assign(lua_State* L, model::Slot slot, const std::string& name) {
  const bool parameter = slot == model::Slot::parameter, child = slot == model::Slot::child;
  throw_usage("cannot assign '" + python_type(L, 3) + "' as " + (child ? "child module" : slot_name(slot)) + " '" +
              name + "' (" +
              (parameter ? "torch.nn.Parameter or None"
               : child   ? "torch.nn.Module or None"
                         : "torch.nn.Buffer, torch.Tensor or None") +
              " expected)");
}

int set_item(lua_State* L) {
  if (push_class_field(L, "__setitem") == LUA_TNIL) {
    lua_pop(L, 1);
    set_field(L, 3);
    return 0;
  }
  lua_insert(L, 1);
  lua_call(L, 3, 0);
  return 0;
}

// Note [Computed fields]
// Fields with a metatable are some of them computed: its __index gives them, and its __assign(module, key, value) takes
// what is assigned, and says whether it did. torch.nn.utils.parametrize sets it.
bool assign_computed(lua_State* L) {
  lua_getiuservalue(L, 1, kFields);
  if (!lua_getmetatable(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  bool done = false;
  if (lua_getfield(L, -1, "__assign") != LUA_TNIL) {
    for (int i = 1; i <= 3; ++i) lua_pushvalue(L, i);
    lua_call(L, 3, 1);
    done = lua_toboolean(L, -1);
  }
  lua_settop(L, 3);
  return done;
}

}  // namespace

void set_field(lua_State* L, int value, bool children_change) {
  lua_getiuservalue(L, 1, kFields);
  if (children_change) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, &kChildren);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

int assign_field(lua_State* L) {
  const ModuleHandle& self = check<Module>(L, 1);
  const ModuleNames& names = *self.names;
  if (lua_type(L, 2) != LUA_TSTRING) return set_item(L);
  if (assign_computed(L)) return 0;
  const bool plain = lua_type(L, 3) != LUA_TUSERDATA;
  if (plain) {
    if (lua_tostring(L, 2) == names.training) {
      model::set_training(module_at(L, 1), lua_toboolean(L, 3));
      return 0;
    }
    lua_getiuservalue(L, 1, kFields);
    lua_pushvalue(L, 2);
    const bool was_plain = lua_rawget(L, -2) != LUA_TUSERDATA;
    lua_pop(L, 2);
    if (was_plain && self.scripted) {
      if (lua_isnil(L, 3)) {
        if (is_slice(L, 2) && model::slot_of(module_at(L, 1), lua_tostring(L, 2)) == model::Slot::none)
          return set_item(L);
      } else if (const auto slot = model::slot_of(module_at(L, 1), lua_tostring(L, 2)); slot != model::Slot::none) {
        cannot_assign(L, slot, lua_tostring(L, 2));
      }
      set_field(L, 3);
      return 0;
    }
  }
  Module& module = module_at(L, 1);
  const std::string name = lua_tostring(L, 2);
  if (is_parameter(L, 3)) {
    before_registration(L, model::Slot::parameter);
    const bool was_child = model::slot_of(module, name) == model::Slot::child;
    model::set_parameter(module, name, check_tensor(L, 3));
    push_identity(L, check_tensor(L, 3), /*parameter=*/true);
    set_field(L, lua_gettop(L), was_child);
    return 0;
  }
  const model::Slot slot = model::slot_of(module, name);
  if (test<Module>(L, 3)) {
    if (slot == model::Slot::parameter) cannot_assign(L, slot, name);
    before_registration(L, model::Slot::child);
    model::set_child(module, name, check_module(L, 3));
    set_field(L, 3, /*children_change=*/true);
    return 0;
  }
  if ((slot == model::Slot::none || slot == model::Slot::buffer) && assign_buffer(L)) return 0;
  if (slot == model::Slot::none) {
    set_field(L, 3);
    return 0;
  }
  if (lua_isnil(L, 3)) {
    model::remove_slot(module, name);
  } else if (slot == model::Slot::buffer && test_tensor(L, 3)) {
    before_registration(L, slot);
    model::set_buffer(module, name, check_tensor(L, 3), model::is_persistent(module, name));
  } else {
    cannot_assign(L, slot, name);
  }
  set_field(L, 3, slot == model::Slot::child);
  return 0;
}

void before_registration(lua_State* L, model::Slot slot) {
  if (!module_names(L).registering || push_class_field(L, "_registering") == LUA_TNIL) return;
  lua_pushvalue(L, 1);
  lua_pushstring(L, slot_name(slot));
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_call(L, 4, 1);
  lua_replace(L, 3);
}

std::string python_type(lua_State* L, int index) {
  index = lua_absindex(L, index);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "torch.nn.python_type");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "name");
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  std::string name = lua_tostring(L, -1) ? lua_tostring(L, -1) : "";
  lua_pop(L, 2);
  return name;
}

int children_of(lua_State* L) {
  Module& module = module_at(L, 1);
  lua_getiuservalue(L, 1, kFields);
  if (lua_rawgetp(L, -1, &kChildren) == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  const model::NamedModules children = model::children(module, /*unique=*/false);
  lua_createtable(L, static_cast<int>(children.size()), 0);
  for (size_t i = 0; i < children.size(); ++i) {
    push_module(L, children[i].second);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  if (!handle_at(L, 1).scripted) return 1;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, &kChildren);
  return 1;
}

}  // namespace trainhost::bindings
