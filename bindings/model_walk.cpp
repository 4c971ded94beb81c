// native.model, second part: what module trees hold, and what is done to whole trees.
#include <optional>
#include <string>
#include <vector>

#include "bindings/dtype.h"
#include "bindings/model_fields.h"
#include "bindings/slice.h"
#include "bindings/tensor.h"
#include "host/model/conversion.h"
#include "host/model/module.h"

namespace trainhost::bindings {
namespace {

using torch::nn::Module;

int is_persistent(lua_State* L) {
  lua_pushboolean(L, model::is_persistent(module_at(L, 1), check_name(L, 2, "is_persistent")));
  return 1;
}

int slot(lua_State* L) {
  lua_pushstring(L, slot_name(model::slot_of(module_at(L, 1), check_name(L, 2, "slot"))));
  return 1;
}

// --- Walks: two lists, names and values

template <class Named, class Push>
int push_lists(lua_State* L, const Named& all, Push push_value) {
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_Integer i = 0;
  for (const auto& [name, value] : all) {
    lua_pushlstring(L, name.data(), name.size());
    lua_rawseti(L, -3, ++i);
    push_value(value);
    lua_rawseti(L, -2, i);
  }
  return 2;
}

int push_tensors(lua_State* L, const model::NamedTensors& all, bool parameter) {
  return push_lists(L, all, [&](const at::Tensor& tensor) { push_identity(L, tensor, parameter); });
}

bool recursing(lua_State* L, int index) { return lua_isnoneornil(L, index) || lua_toboolean(L, index); }

int parameters(lua_State* L) {
  return push_tensors(L, model::parameters(module_at(L, 1), recursing(L, 2), recursing(L, 3)), true);
}
int buffers(lua_State* L) {
  return push_tensors(L, model::buffers(module_at(L, 1), recursing(L, 2), recursing(L, 3)), false);
}

int push_modules(lua_State* L, const model::NamedModules& all) {
  return push_lists(L, all, [L](const ModulePtr& module) { push_module(L, module); });
}
int modules(lua_State* L) { return push_modules(L, model::modules(check<Module>(L, 1).module, recursing(L, 2))); }
int children(lua_State* L) { return push_modules(L, model::children(module_at(L, 1))); }
int child_list(lua_State* L) { return push_modules(L, model::children(module_at(L, 1), /*unique=*/false)); }

void push_names(lua_State* L, const std::vector<std::string>& names) {
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (size_t i = 0; i < names.size(); ++i) {
    lua_pushlstring(L, names[i].data(), names[i].size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

int child_slots(lua_State* L) {
  push_names(L, model::child_slots(module_at(L, 1)));
  return 1;
}
int slots(lua_State* L) {
  push_names(L, model::tensor_slots(module_at(L, 1)));
  return 1;
}

// set_data(own, tensor): own.data = tensor, if they are of kinds for which that is possible.
int set_data(lua_State* L) {
  lua_pushboolean(L, model::set_data(check_tensor(L, 1), check_tensor(L, 2)));
  return 1;
}

// --- Whole trees

// convert_tree(module, apply, device, dtype, complex, non_blocking, memory_format)
int convert_tree(lua_State* L) {
  const ModulePtr root = check_module(L, 1);
  model::Conversion conversion;
  if (!lua_isnoneornil(L, 3)) conversion.device = check_device(L, 3);
  if (!lua_isnoneornil(L, 4)) conversion.dtype = check_dtype(L, 4);
  conversion.complex = lua_toboolean(L, 5);
  conversion.non_blocking = lua_toboolean(L, 6);
  if (const auto* format = test<at::MemoryFormat>(L, 7)) conversion.format = format->value;
  const model::NamedModules tree = model::modules(root);
  for (const auto& item : tree) {
    push_module(L, item.second);
    lua_replace(L, 1);
    if (handle_at(L, 1).scripted) {
      lua_getiuservalue(L, 1, kFields);
      const bool own = lua_getfield(L, -1, "_apply") != LUA_TNIL;
      lua_pop(L, 2);
      if (own) return lua_pushboolean(L, 0), 1;
    }
    push_class_field(L, "_apply");
    const bool same = lua_rawequal(L, -1, 2);
    lua_pop(L, 1);
    if (!same) return lua_pushboolean(L, 0), 1;
  }
  // As in PyTorch what is below comes first.
  for (auto item = tree.rbegin(); item != tree.rend(); ++item)
    if (!model::convert(*item->second, conversion)) return lua_pushboolean(L, 0), 1;
  lua_pushboolean(L, 1);
  return 1;
}

int is_dtype(lua_State* L) {
  lua_pushboolean(L, test<at::ScalarType>(L, 1) != nullptr);
  return 1;
}

int set_training(lua_State* L) {
  model::set_training(module_at(L, 1), lua_toboolean(L, 2));
  return 0;
}
int set_frozen(lua_State* L) {
  model::set_frozen(module_at(L, 1), lua_toboolean(L, 2));
  return 0;
}
int thawed_training(lua_State* L) {
  const auto mode = model::thawed_training(module_at(L, 1));
  if (mode) lua_pushboolean(L, *mode);
  else lua_pushnil(L);
  return 1;
}
int zero_grad(lua_State* L) {
  model::zero_grad(module_at(L, 1), recursing(L, 2));
  return 0;
}
int set_requires_grad(lua_State* L) {
  model::set_requires_grad(module_at(L, 1), lua_toboolean(L, 2));
  return 0;
}

int keep(lua_State* L) {
  module_at(L, 1);
  keep_module(L, 1);
  return 0;
}

int clone_foreign(lua_State* L) {
  const Module& original = module_at(L, 1);
  const ModulePtr copy = model::clone_foreign(original);
  const auto& forwards = module_names(L).forwards;
  const auto found = forwards.find(&original);
  if (found != forwards.end() && found->second.of_class) push_module(L, copy, ClassForward(found->second.of_class));
  else push_module(L, copy);
  return 1;
}

int describe_foreign(lua_State* L) {
  const std::string text = model::describe(module_at(L, 1));
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

constexpr Row kFunctions[] = {
    {"is_persistent", guarded<is_persistent>,
     "---Is the buffer saved in state dicts?\n---@param name string\n---@return boolean"},
    {"slot", guarded<slot>,
     "---What a name is: none, parameter, buffer or child.\n---@param name string\n---@return string"},
    {"parameters", guarded<parameters>,
     "---Names and tensors of the parameters.\n---@param recurse boolean? default true\n---@param remove_duplicate "
     "boolean? default true\n---@return string[], Tensor[]"},
    {"buffers", guarded<buffers>,
     "---Names and tensors of the buffers.\n---@param recurse boolean? default true\n---@param remove_duplicate "
     "boolean? default true\n---@return string[], Tensor[]"},
    {"modules", guarded<modules>,
     "---Names and modules of the tree, the module itself first.\n---@param remove_duplicate boolean? default "
     "true\n---@return string[], Module[]"},
    {"children", guarded<children>, "---Names and modules of the children.\n---@return string[], Module[]"},
    {"child_list", guarded<child_list>,
     "---Names and modules of the children, repeated ones too.\n---@return string[], Module[]"},
    {"child_slots", guarded<child_slots>, "---Names of the children, those that are nil too.\n---@return string[]"},
    {"slots", guarded<slots>, "---Names of the parameters and buffers, those that are nil too.\n---@return string[]"},
    {"slice_indices", guarded<slice_indices>,
     "---The indices that a slice has in a list of a size, from 0; nil if the key is no slice.\n---@param key "
     "any\n---@param size integer\n---@return integer[]?"},
    {"set_data", guarded<set_data>,
     "---Gives a tensor the memory of another; false if it is of a kind that cannot take it.\n---@param own "
     "Tensor\n---@param data Tensor\n---@return boolean"},
    {"convert_tree", guarded<convert_tree>,
     "---Converts all tensors of a tree of modules in place; false where a module has another `_apply` than the given "
     "one, or a tensor has to be replaced: some may be converted then.\n---@param apply function\n---@param device "
     "any\n---@param dtype dtype? of floating point tensors\n---@param complex boolean of complex ones, too\n---@param "
     "non_blocking boolean\n---@param memory_format memory_format?\n---@return boolean"},
    {"set_training", guarded<set_training>, "---Sets the training flag of this module alone.\n---@param on boolean"},
    {"set_frozen", guarded<set_frozen>,
     "---Keeps a module of a script in evaluation mode, or no longer.\n---@param on boolean"},
    {"thawed_training", guarded<thawed_training>,
     "---The training flag that a frozen module gets back; nil of one that is not frozen.\n---@return boolean?"},
    {"zero_grad", guarded<zero_grad>, "---Clears the gradients.\n---@param set_to_none boolean? default true"},
    {"set_requires_grad", guarded<set_requires_grad>, "---Sets requires_grad of all parameters.\n---@param on boolean"},
    {"keep", guarded<keep>,
     "---Keeps what Lua knows of a module, its fields, as long as something besides Lua holds it."},
    {"clone_foreign", guarded<clone_foreign>, "---Copies a module written in C++.\n---@return Module"},
    {"describe_foreign", guarded<describe_foreign>, "---What LibTorch prints for a module.\n---@return string"},
    {"is_dtype", guarded<is_dtype>, "---Is the value a dtype?\n---@return boolean"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

const char* slot_name(model::Slot slot) noexcept {
  static constexpr const char* kNames[] = {"none", "parameter", "buffer", "child"};
  return kNames[static_cast<int>(slot)];
}

void set_module_walks(lua_State* L) { set_functions(L, kFunctions); }

}  // namespace trainhost::bindings
