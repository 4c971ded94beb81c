// native.optim: the fused optimizers, and clipping of gradients.
#include <cmath>
#include <string>

#include "bindings/model.h"
#include "bindings/tensor.h"
#include "host/model/gradients.h"
#include "host/model/optimizer.h"

namespace trainhost::bindings {

using model::Optimizer;

template <>
struct Type<Optimizer> {
  using Handle = std::shared_ptr<Optimizer>;
  static constexpr TypeId id = TypeId::optimizer;
  static constexpr const char* name = "Optimizer";
  static constexpr int user_values = 0;
};

namespace {

Optimizer& self(lua_State* L) { return *check<Optimizer>(L, 1); }

// The group's number under `key`: a number, or a tensor of one element (a learning rate may be one).
double number(lua_State* L, int group, const char* key) {
  double value = 0;
  if (lua_getfield(L, group, key) == LUA_TNUMBER) {
    value = lua_tonumber(L, -1);
  } else if (at::Tensor* tensor = test_tensor(L, -1); tensor && tensor->numel() == 1) {
    value = tensor->item<double>();
  } else {
    throw_usage(std::string("param_groups: '") + key + "' must be a number, got " + describe(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

bool flag(lua_State* L, int group, const char* key) {
  lua_getfield(L, group, key);
  const bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

double beta(lua_State* L, int group, int index) {
  if (lua_getfield(L, group, "betas") != LUA_TTABLE || lua_geti(L, -1, index) != LUA_TNUMBER)
    throw_usage("param_groups: 'betas' must be a table of two numbers, got " + describe(L, -1));
  const double value = lua_tonumber(L, -1);
  lua_pop(L, 2);
  return value;
}

model::Hyper read_hyper(lua_State* L, int group, bool sgd) {
  model::Hyper hyper;
  hyper.lr = number(L, group, "lr");
  hyper.weight_decay = number(L, group, "weight_decay");
  hyper.maximize = flag(L, group, "maximize");
  if (sgd) {
    hyper.momentum = number(L, group, "momentum");
    hyper.dampening = number(L, group, "dampening");
    hyper.nesterov = flag(L, group, "nesterov");
  } else {
    hyper.beta1 = beta(L, group, 1);
    hyper.beta2 = beta(L, group, 2);
    hyper.eps = number(L, group, "eps");
    hyper.amsgrad = flag(L, group, "amsgrad");
  }
  return hyper;
}

int new_optimizer(lua_State* L) {
  const char* rule = lua_tostring(L, 1);
  const std::string name = rule ? rule : "";
  if (name != "sgd" && name != "adam" && name != "adamw")
    throw_argument(L, "native.optim.new", "rule", "\"sgd\", \"adam\" or \"adamw\"", 1);
  push<Optimizer>(L, std::make_shared<Optimizer>(name == "sgd"    ? model::Rule::sgd
                                                 : name == "adam" ? model::Rule::adam
                                                                  : model::Rule::adamw));
  return 1;
}

int add_group(lua_State* L) {
  self(L).add_group(check_tensors(L, 2, "add_param_group", "params"));
  return 0;
}

int step(lua_State* L) {
  Optimizer& optimizer = self(L);
  if (lua_type(L, 2) != LUA_TTABLE) throw_argument(L, "step", "param_groups", "a list of groups", 2);
  if (lua_rawlen(L, 2) != optimizer.group_count())
    throw_usage("param_groups has " + std::to_string(lua_rawlen(L, 2)) + " groups, the optimizer was given " +
                    std::to_string(optimizer.group_count()),
                "use opt:add_param_group(group)");
  const at::Tensor found_inf = lua_isnoneornil(L, 3) ? at::Tensor() : check_tensor(L, 3);
  const at::Tensor grad_scale = lua_isnoneornil(L, 4) ? at::Tensor() : check_tensor(L, 4);
  for (size_t i = 0; i < optimizer.group_count(); ++i) {
    lua_rawgeti(L, 2, static_cast<lua_Integer>(i + 1));
    const model::Hyper hyper = read_hyper(L, lua_gettop(L), optimizer.rule() == model::Rule::sgd);
    lua_pop(L, 1);
    optimizer.step(i, hyper, found_inf, grad_scale);
  }
  return 0;
}

int zero_grad(lua_State* L) {
  self(L).zero_grad(lua_isnoneornil(L, 2) || lua_toboolean(L, 2));
  return 0;
}

int state(lua_State* L) {
  const model::NamedTensors state = self(L).state(static_cast<size_t>(luaL_checkinteger(L, 2)));
  if (state.empty()) return 0;
  lua_createtable(L, 0, static_cast<int>(state.size()));
  for (const auto& [name, tensor] : state) {
    push_tensor(L, tensor);
    lua_setfield(L, -2, name.c_str());
  }
  return 1;
}

int set_state(lua_State* L) {
  Optimizer& optimizer = self(L);
  const auto index = static_cast<size_t>(luaL_checkinteger(L, 2));
  if (lua_type(L, 3) != LUA_TTABLE) throw_argument(L, "load_state_dict", "state", "a table of tensors", 3);
  model::NamedTensors state;
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    if (lua_type(L, -2) != LUA_TSTRING || !test_tensor(L, -1))
      throw_argument(L, "load_state_dict", "state", "tensors by name", -1);
    state.emplace_back(lua_tostring(L, -2), check_tensor(L, -1));
    lua_pop(L, 1);
  }
  optimizer.set_state(index, state);
  return 0;
}

double norm_type_at(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return 2.0;
  if (lua_type(L, index) == LUA_TSTRING && std::string(lua_tostring(L, index)) == "inf") return INFINITY;
  return luaL_checknumber(L, index);
}

int grad_norm(lua_State* L) {
  push_tensor(L, model::grad_norm(check_tensors(L, 1, "grad_norm", "parameters"), norm_type_at(L, 2)));
  return 1;
}

int clip_grad_norm(lua_State* L) {
  push_tensor(L, model::clip_grad_norm(check_tensors(L, 1, "clip_grad_norm_", "parameters"), luaL_checknumber(L, 2),
                                       norm_type_at(L, 3), lua_toboolean(L, 4)));
  return 1;
}

int clip_grad_value(lua_State* L) {
  model::clip_grad_value(check_tensors(L, 1, "clip_grad_value_", "parameters"), luaL_checknumber(L, 2));
  return 0;
}

constexpr Row kMethods[] = {
    {"add_group", guarded<add_group>, "---Adds a group of parameters.\n---@param params Tensor[]"},
    {"step", guarded<step>,
     "---One step of every group with the hyperparameters that its table holds now.\n---@param param_groups "
     "table[]\n---@param found_inf Tensor?\n---@param grad_scale Tensor?"},
    {"zero_grad", guarded<zero_grad>, "---Clears the gradients.\n---@param set_to_none boolean? default true"},
    {"state", guarded<state>,
     "---The state of a parameter by name, nil before its first step.\n---@param index integer 0-based over all "
     "groups\n---@return table<string, Tensor>?"},
    {"set_state", guarded<set_state>,
     "---Copies a parameter's state.\n---@param index integer 0-based over all groups\n---@param state table<string, "
     "Tensor>"},
    {nullptr, nullptr, nullptr},
};

constexpr Row kFunctions[] = {
    {"new", guarded<new_optimizer>,
     "---A fused optimizer without parameters.\n---@param rule \"sgd\"|\"adam\"|\"adamw\"\n---@return Optimizer"},
    {"grad_norm", guarded<grad_norm>,
     "---The norm of all gradients together.\n---@param parameters Tensor[]\n---@param norm_type number|\"inf\"? "
     "default 2\n---@return Tensor"},
    {"clip_grad_norm", guarded<clip_grad_norm>,
     "---Scales gradients so that their norm is at most max_norm; returns the norm before.\n---@param parameters "
     "Tensor[]\n---@param max_norm number\n---@param norm_type number|\"inf\"? default 2\n---@param error_if_nonfinite "
     "boolean?\n---@return Tensor"},
    {"clip_grad_value", guarded<clip_grad_value>,
     "---Clamps gradients to [-clip_value, clip_value].\n---@param parameters Tensor[]\n---@param clip_value number"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_optim(lua_State* L) {
  define<Optimizer>(L, kMethods, nullptr);
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
