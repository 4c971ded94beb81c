// native.optim: the native optimizers.
#include <ATen/ops/scalar_tensor.h>

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

// A group's table as the rules read it. A number may be a tensor of one element, as a learning rate may.
class Group final : public model::Hyper {
 public:
  Group(lua_State* L, int index) : L_(L), index_(lua_absindex(L, index)) {}

  model::Number number(const char* key) const override {
    lua_getfield(L_, index_, key);
    const std::optional<model::Number> value = at_top();
    if (!value) throw_usage(std::string("param_groups: '") + key + "' must be a number, got " + describe(L_, -1));
    lua_pop(L_, 1);
    return *value;
  }

  model::Number number(const char* key, int index) const override {
    const std::optional<model::Number> value = entry(key, index);
    if (!value)
      throw_usage(std::string("param_groups: '") + key + "' must be a table of numbers, it has " +
                  std::to_string(index) + " of them");
    return *value;
  }
  double or_nan(const char* key, int index) const override {
    return entry(key, index).value_or(model::Number(NAN)).value();
  }

  bool flag(const char* key) const override { return choice(key).value_or(false); }

  // The number in the list; none where it is None.
  std::optional<model::Number> entry(const char* key, int index) const {
    if (lua_getfield(L_, index_, key) != LUA_TTABLE)
      throw_usage(std::string("param_groups: '") + key + "' must be a table of numbers, got " + describe(L_, -1));
    lua_geti(L_, -1, index + 1);
    const std::optional<model::Number> value = at_top();
    if (!value && lua_type(L_, -1) != LUA_TNIL && lua_type(L_, -1) != LUA_TUSERDATA)  // None
      throw_usage(std::string("param_groups: '") + key + "' must be a table of numbers, got " + describe(L_, -1) +
                  " in it");
    lua_pop(L_, 2);
    return value;
  }

  std::optional<bool> choice(const char* key) const override {
    std::optional<bool> on;
    const int type = lua_getfield(L_, index_, key);
    if (type == LUA_TBOOLEAN) on = lua_toboolean(L_, -1) != 0;
    else if (type == LUA_TNUMBER) on = lua_tonumber(L_, -1) != 0;
    lua_pop(L_, 1);
    return on;
  }

  std::string text(const char* key) const override {
    lua_getfield(L_, index_, key);
    const std::string value = lua_type(L_, -1) == LUA_TSTRING ? lua_tostring(L_, -1) : "";
    lua_pop(L_, 1);
    return value;
  }

 private:
  std::optional<model::Number> at_top() const {
    if (lua_type(L_, -1) == LUA_TNUMBER) return model::Number(lua_tonumber(L_, -1));
    if (const at::Tensor* tensor = test_tensor(L_, -1); tensor && tensor->numel() == 1) return model::Number(*tensor);
    return std::nullopt;
  }

  lua_State* L_;
  int index_;
};

int new_optimizer(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) throw_argument(L, "native.optim.new", "rule", "a rule's name", 1);
  push<Optimizer>(L, std::make_shared<Optimizer>(lua_tostring(L, 1)));
  return 1;
}

int add_group(lua_State* L) {
  self(L).add_group(check_tensors(L, 2, "add_param_group", "params"), lua_toboolean(L, 3));
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
    if (lua_rawgeti(L, 2, static_cast<lua_Integer>(i + 1)) != LUA_TTABLE)
      throw_argument(L, "step", "param_groups", "a list of groups", -1);
    optimizer.step(i, Group(L, -1), found_inf, grad_scale);
    lua_pop(L, 1);
  }
  return 0;
}

int begin(lua_State* L) {
  if (lua_type(L, 3) != LUA_TTABLE) throw_argument(L, "begin", "group", "a group", 3);
  self(L).begin(static_cast<size_t>(luaL_checkinteger(L, 2)), Group(L, 3));
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
    if (tensor.scalar_type() == at::kLong && tensor.dim() == 0) lua_pushinteger(L, tensor.item<int64_t>());
    else push_tensor(L, tensor);
    lua_setfield(L, -2, name.c_str());
  }
  return 1;
}

// The tensor or number at `index`.
at::Tensor value_at(lua_State* L, int index) {
  if (lua_isinteger(L, index)) return at::scalar_tensor(lua_tointeger(L, index), at::kFloat);
  if (lua_type(L, index) == LUA_TNUMBER) return at::scalar_tensor(lua_tonumber(L, index), at::kFloat);
  if (!test_tensor(L, index)) throw_argument(L, "load_state_dict", "state", "tensors by name", index);
  return check_tensor(L, index);
}

int set_state(lua_State* L) {
  Optimizer& optimizer = self(L);
  const auto index = static_cast<size_t>(luaL_checkinteger(L, 2));
  if (lua_type(L, 3) != LUA_TTABLE) throw_argument(L, "load_state_dict", "state", "a table of tensors", 3);
  model::NamedTensors state;
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    if (lua_type(L, -2) != LUA_TSTRING) throw_argument(L, "load_state_dict", "state", "tensors by name", -1);
    state.emplace_back(lua_tostring(L, -2), value_at(L, -1));
    lua_pop(L, 1);
  }
  optimizer.set_state(index, state, lua_toboolean(L, 4));
  return 0;
}

double number_at(lua_State* L, int index) {
  const at::Tensor* tensor = test_tensor(L, index);
  return tensor ? tensor->item<double>() : luaL_checknumber(L, index);
}

// `foreach`, which is true unless it is false.
bool foreach_at(lua_State* L, int index) { return lua_isnoneornil(L, index) || lua_toboolean(L, index); }

int total_norm(lua_State* L) {
  push_tensor(
      L, model::total_norm(check_tensors(L, 1, "get_total_norm", "tensors"), luaL_checknumber(L, 2), foreach_at(L, 3)));
  return 1;
}

int grad_norm(lua_State* L) {
  push_tensor(
      L, model::grad_norm(check_tensors(L, 1, "grad_norm", "parameters"), luaL_checknumber(L, 2), foreach_at(L, 3)));
  return 1;
}

int clip_grads_with_norm(lua_State* L) {
  model::clip_grads_with_norm(check_tensors(L, 1, "clip_grads_with_norm_", "parameters"), number_at(L, 2),
                              check_tensor(L, 3), foreach_at(L, 4));
  return 0;
}

int clip_grad_value(lua_State* L) {
  model::clip_grad_value(check_tensors(L, 1, "clip_grad_value_", "parameters"), number_at(L, 2), foreach_at(L, 3));
  return 0;
}

int flat_gradient(lua_State* L) {
  push_tensor(L, model::flat_gradient(check_tensors(L, 1, "flat_gradient", "parameters")));
  return 1;
}

int move_along(lua_State* L) {
  model::move_along(check_tensors(L, 1, "move_along", "parameters"), check_tensor(L, 2), number_at(L, 3));
  return 0;
}

constexpr Row kMethods[] = {
    {"add_group", guarded<add_group>,
     "---Adds a group of parameters.\n---@param params Tensor[]\n---@param differentiable boolean? others than leaves "
     "are taken"},
    {"step", guarded<step>,
     "---One step of every group with the hyperparameters that its table holds now.\n---@param param_groups "
     "table[]\n---@param found_inf Tensor?\n---@param grad_scale Tensor?"},
    {"begin", guarded<begin>,
     "---Makes the state of a group's parameters before their first step.\n---@param index integer 0-based\n---@param "
     "group table"},
    {"zero_grad", guarded<zero_grad>, "---Clears the gradients.\n---@param set_to_none boolean? default true"},
    {"state", guarded<state>,
     "---The state of a parameter by name, nil before its first step.\n---@param index integer 0-based over all "
     "groups\n---@return table<string, Tensor>?"},
    {"set_state", guarded<set_state>,
     "---Copies a parameter's state.\n---@param index integer 0-based over all groups\n---@param state table<string, "
     "Tensor|number>\n---@param with_steps boolean? step counters go to the parameter's device"},
    {nullptr, nullptr, nullptr},
};

constexpr Row kFunctions[] = {
    {"new", guarded<new_optimizer>,
     "---A native optimizer without parameters.\n---@param rule string \"sgd\", \"adam\" ...\n---@return Optimizer"},
    {"total_norm", guarded<total_norm>,
     "---The norm of all tensors together.\n---@param tensors Tensor[]\n---@param norm_type number\n"
     "---@param foreach boolean? one kernel for all of them, default true\n---@return Tensor"},
    {"grad_norm", guarded<grad_norm>,
     "---The norm of all gradients together.\n---@param parameters Tensor[]\n---@param norm_type number\n"
     "---@param foreach boolean? one kernel for all of them, default true\n---@return Tensor"},
    {"clip_grads_with_norm", guarded<clip_grads_with_norm>,
     "---Scales gradients of this norm so that it is at most max_norm.\n---@param parameters Tensor[]\n"
     "---@param max_norm number\n---@param norm Tensor\n---@param foreach boolean? default true"},
    {"flat_gradient", guarded<flat_gradient>,
     "---All gradients as one vector, zeros where there is none.\n---@param parameters Tensor[]\n---@return Tensor"},
    {"move_along", guarded<move_along>,
     "---Adds size * update to the parameters.\n---@param parameters Tensor[]\n---@param update Tensor a vector, as "
     "flat_gradient gives it\n---@param size number|Tensor"},
    {"clip_grad_value", guarded<clip_grad_value>,
     "---Clamps gradients to [-clip_value, clip_value].\n---@param parameters Tensor[]\n---@param clip_value number\n"
     "---@param foreach boolean? default true"},
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
