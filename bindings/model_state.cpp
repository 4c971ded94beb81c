// native.model, state dicts: what a module has to save and to load, whole trees of plain modules at once.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bindings/model_fields.h"
#include "bindings/tensor.h"
#include "host/model/module.h"
#include "host/tensor/uninitialized.h"

namespace trainhost::bindings {
namespace {

using torch::nn::Module;

// One of `module`'s own tensors as a state dict has it.
void push_saved(lua_State* L, const Module& module, const std::string& name, const at::Tensor& tensor, bool keep_vars) {
  if (keep_vars || tensor::is_uninitialized(tensor))
    push_identity(L, tensor, model::slot_of(module, name) == model::Slot::parameter);
  else push_tensor(L, tensor.detach());
}

void push_text(lua_State* L, const std::string& text) { lua_pushlstring(L, text.data(), text.size()); }

// The value on top of the stack becomes the last of the list at `list`, which has `count`.
void append(lua_State* L, int list, lua_Integer& count) { lua_rawseti(L, list, ++count); }

// The parameters and saved buffers of this module alone: names, tensors.
int own_state(lua_State* L) {
  const Module& module = module_at(L, 1);
  const bool keep_vars = lua_toboolean(L, 2);
  const model::NamedTensors all = model::own_state(module);
  lua_settop(L, 1);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_Integer names = 0, tensors = 0;
  for (const auto& [name, tensor] : all) {
    push_text(L, name);
    append(L, 2, names);
    push_saved(L, module, name, tensor, keep_vars);
    append(L, 3, tensors);
  }
  return 2;
}

int copy(lua_State* L) {
  model::copy_into(check_tensor(L, 1), check_tensor(L, 2));
  return 0;
}

// Note [Plain modules]
// What a script can change about the state dicts of a module has names: methods of its class, methods and lists of
// hooks in its fields. The table at `plain` has them, each with what the class has of it when nothing is changed, false
// for nothing. The state of a tree without any change is taken and loaded in one pass here; for all other trees, and
// for what does not match, torch.nn says what happens, module by module.
bool are_plain(lua_State* L, const model::NamedModules& all, int plain) {
  std::vector<const void*> classes;
  for (const auto& [_, module] : all) {
    push_module(L, module);
    const int self = lua_gettop(L);
    lua_getiuservalue(L, self, kFields);
    for (lua_pushnil(L); lua_next(L, plain); lua_pop(L, 2)) {
      lua_pushvalue(L, -2);
      if (lua_rawget(L, self + 1) != LUA_TNIL) return false;
    }
    push_class(L, self);
    const void* of_module = lua_topointer(L, -1);
    if (std::ranges::find(classes, of_module) == classes.end()) {
      for (lua_pushnil(L); lua_next(L, plain); lua_pop(L, 2)) {
        lua_pushvalue(L, -2);
        lua_gettable(L, self + 2);
        if (lua_toboolean(L, -2) ? !lua_rawequal(L, -1, -2) : !lua_isnil(L, -1)) return false;
      }
      classes.push_back(of_module);
    }
    lua_settop(L, self - 1);
  }
  return true;
}

// Pushes the version of the module at `self`.
void push_version(lua_State* L, int self) {
  lua_getiuservalue(L, self, kFields);
  if (lua_pushliteral(L, "_version"), lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    push_class(L, self);
    lua_getfield(L, -1, "_version");
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
}

// plain_state(module, prefix, keep_vars, plain): keys, tensors, and the path and {version = ...} of each module.
int plain_state(lua_State* L) {
  luaL_checktype(L, 4, LUA_TTABLE);
  const ModulePtr& root = check_module(L, 1);
  const std::string prefix = check_name(L, 2, "state_dict");
  const bool keep_vars = lua_toboolean(L, 3);
  constexpr int kPlain = 4, kKeys = 5, kTensors = 6, kPaths = 7, kEntries = 8;
  lua_settop(L, kPlain);
  const model::NamedModules all = model::modules(root, /*unique=*/false);
  if (!are_plain(L, all, kPlain)) return 0;
  lua_settop(L, kPlain);
  const int modules = static_cast<int>(all.size());
  for (int list = kKeys; list <= kEntries; ++list) lua_createtable(L, list < kPaths ? 2 * modules : modules, 0);
  lua_Integer keys = 0, tensors = 0, paths = 0, entries = 0;
  for (const auto& [name, module] : all) {
    std::string key = prefix + name;
    if (name.empty()) push_text(L, prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1));
    else push_text(L, key);
    append(L, kPaths, paths);
    push_module(L, module);
    lua_createtable(L, 0, 1);
    push_version(L, kEntries + 1);
    lua_setfield(L, -2, "version");
    append(L, kEntries, entries);
    lua_settop(L, kEntries);
    if (!name.empty()) key += '.';
    const size_t start = key.size();
    for (const auto& [own, tensor] : model::own_state(*module)) {
      key.replace(start, std::string::npos, own);
      push_text(L, key);
      append(L, kKeys, keys);
      push_saved(L, *module, own, tensor, keep_vars);
      append(L, kTensors, tensors);
    }
  }
  return 4;
}

// Can the module at `self` take what was saved as it is, as far as the metadata at `metadata` tells?
bool is_current(lua_State* L, int self, int metadata, const std::string& path) {
  push_class(L, self);
  const bool upgrades = lua_getfield(L, -1, "_upgrade_state_dict") != LUA_TNIL;
  if (!lua_istable(L, metadata) || lua_getfield(L, metadata, path.c_str()) != LUA_TTABLE) return !upgrades;
  const int entry = lua_gettop(L);
  if (lua_getfield(L, entry, "assign_to_params_buffers"); lua_toboolean(L, -1)) return false;
  if (!upgrades) return true;
  lua_getfield(L, entry, "version");
  push_version(L, self);
  return lua_rawequal(L, -1, -2);
}

// load_plain(module, state, metadata, plain): true if all that the table has went to all that the tree has.
int load_plain(lua_State* L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  const ModulePtr& root = check_module(L, 1);
  constexpr int kState = 2, kMetadata = 3, kPlain = 4;
  lua_settop(L, kPlain);
  const model::NamedModules all = model::modules(root, /*unique=*/false);
  if (!are_plain(L, all, kPlain)) return 0;
  size_t given = 0;
  for (lua_pushnil(L); lua_next(L, kState); lua_pop(L, 1)) ++given;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
  pairs.reserve(given);
  for (const auto& [name, module] : all) {
    push_module(L, module);
    if (!is_current(L, kPlain + 1, kMetadata, name)) return 0;
    std::string key = name.empty() ? name : name + '.';
    const size_t start = key.size();
    for (auto& [own, tensor] : model::own_state(*module)) {
      lua_settop(L, kPlain);
      key.replace(start, std::string::npos, own);
      push_text(L, key);
      lua_rawget(L, kState);
      if (!test_tensor(L, -1)) return 0;
      const at::Tensor& value = check_tensor(L, -1);
      if (tensor::is_uninitialized(tensor) || tensor::is_uninitialized(value) || tensor.sizes() != value.sizes())
        return 0;
      if (tensor.is_meta() && !value.is_meta()) return 0;  // which warns
      pairs.emplace_back(std::move(tensor), value);
    }
    lua_settop(L, kPlain);
  }
  if (pairs.size() != given) return 0;
  for (const auto& [own, value] : pairs) model::copy_into(own, value);
  lua_pushboolean(L, true);
  return 1;
}

constexpr Row kFunctions[] = {
    {"own_state", guarded<own_state>,
     "---Names and tensors that a state dict has of this module alone.\n---@param keep_vars boolean? the tensors "
     "themselves, not detached\n---@return string[], Tensor[]"},
    {"copy", guarded_repeatable<copy>,
     "---Copies one tensor into another, without history.\n---@param own Tensor\n---@param value Tensor"},
    {"plain_state", guarded<plain_state>,
     "---The state dict of a tree in which no module has a way of its own: keys and tensors, the path and the metadata "
     "of "
     "each module. Nothing for another tree.\n---@param prefix string\n---@param keep_vars boolean\n---@param plain "
     "table<string, function|false>\n---@return string[]?, Tensor[], string[], table[]"},
    {"load_plain", guarded_repeatable<load_plain>,
     "---Copies a state dict into such a tree, if each has what the other has. Nothing is done otherwise.\n---@param "
     "state "
     "table<string, Tensor>\n---@param metadata table?\n---@param plain table<string, function|false>\n---@return "
     "true?"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

void set_module_states(lua_State* L) { set_functions(L, kFunctions); }

}  // namespace trainhost::bindings
