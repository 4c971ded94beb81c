-- torch.optim.Optimizer: parameter groups, state dicts and steps over a native optimizer.
--
-- `opt.param_groups` are plain tables that every step reads: writing opt.param_groups[1].lr takes effect.
local model = require "native.model"
local native = require "native.optim"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"

---@class Optimizer
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1})
--- optimizer.param_groups[1].lr = 0.01
--- optimizer.param_groups[1].lr  --> 0.01
---@source torch.optim.Optimizer
local Optimizer = {__name = "Optimizer"}
Optimizer.__index = Optimizer

local function fail(self, message, hint) vm.raise("usage", ("%s: %s"):format(self.__name, message), hint) end

-- What an optimizer must be given for each hyperparameter; the messages are PyTorch's.
local function is_number(value) return math.type(value) ~= nil or torch.is_tensor(value) end
local checks = {  -- in the order of PyTorch's own
  {"lr", "learning rate", function(v) return is_number(v) and (torch.is_tensor(v) or v >= 0) end},
  {"momentum", "momentum value", function(v) return math.type(v) and v >= 0 end},
  {"dampening", "dampening value", function(v) return math.type(v) end},
  {"eps", "epsilon value", function(v) return math.type(v) and v >= 0 end},
  {"weight_decay", "weight_decay value", function(v) return math.type(v) and v >= 0 end},
}

local function check_group(self, group)
  for _, check in ipairs(checks) do
    local name, what, is_valid = table.unpack(check)
    if self.defaults[name] ~= nil and not is_valid(group[name]) then
      fail(self, ("Invalid %s: %s"):format(what, vm.describe(group[name])))
    end
  end
  if self.defaults.betas ~= nil then
    local betas = group.betas
    for i = 1, 2 do
      local beta = type(betas) == "table" and betas[i]
      if not math.type(beta) or beta < 0 or beta >= 1 then
        fail(self, ("Invalid beta parameter at index %d: %s"):format(i - 1, vm.describe(beta)))
      end
    end
  end
  if self.check then self:check(group) end
end

-- A list of tensors, a list of {params = ...}, or one of either.
local function as_groups(self, params)
  if model.is_module(params) then fail(self, "expected parameters, got a module", "give it model:parameters()") end
  if type(params) ~= "table" then
    fail(self, "params argument given to the optimizer should be a list of Tensors or groups, but got "
      .. vm.describe(params))
  end
  if params.params ~= nil then return {params} end
  if #params == 0 then fail(self, "optimizer got an empty parameter list") end
  if type(params[1]) == "table" then return params end
  return {{params = params}}
end

-- opt.state[parameter]: the state of a parameter by name, {} before its first step; pairs gives those that have one.
local function state_of(self)
  local function find(param)
    local index = 0
    for _, group in ipairs(self.param_groups) do
      for _, each in ipairs(group.params) do
        if rawequal(each, param) or model.is_tensor(param) and each == param then return self._native:state(index) end
        index = index + 1
      end
    end
    return nil
  end
  return setmetatable({}, {
    __name = "OptimizerState",
    __index = function(_, param) return find(param) or {} end,
    __newindex = function() fail(self, "state is read-only", "load_state_dict sets it") end,
    __pairs = function()
      return coroutine.wrap(function()
        for _, group in ipairs(self.param_groups) do
          for _, param in ipairs(group.params) do
            local state = find(param)
            if state then coroutine.yield(param, state) end
          end
        end
      end)
    end,
  })
end

--- Makes a class of optimizers over a native rule.
---@param name string
---@param rule "sgd"|"adam"|"adamw"
---@param spec string keyword arguments with their defaults, as signatures write them
---@return table class callable: class(params, {lr = ...})
---@private
function Optimizer.class(name, rule, spec)
  local class = setmetatable({__name = name}, {
    __index = Optimizer,
    __name = "class",
    __tostring = function() return "class " .. name end,
  })
  class.__index = class
  class.__tostring = Optimizer.__tostring
  local keys = {}
  for key in spec:gsub("%b{}", ""):gmatch("([%a_][%w_]*)%s*=") do keys[#keys + 1] = key end
  local parse = signature("torch.optim." .. name, "params, " .. spec)

  getmetatable(class).__call = function(_, params, ...)
    if model.is_module(params) then as_groups(class, params) end
    local options = ...
    local none = options == nil or type(options) == "table" and next(options) == nil
    local given = none and function(p) return parse(p) end or parse  -- Adam(params, nil), Adam(params, {}): no options
    local values = table.pack(given(params, ...))
    local self = setmetatable({defaults = {}, param_groups = {}, _none = {}}, class)
    self.state = state_of(self)
    for i, key in ipairs(keys) do
      self.defaults[key] = values[i + 1]
      if values[i + 1] == nil then self._none[#self._none + 1] = key end
    end
    self._rule = self.defaults.decoupled_weight_decay and "adamw" or rule
    self._native = native.new(self._rule)
    self:refuse_unsupported()
    -- The kernels are the fused ones: state dicts say so, and PyTorch then goes on with the same.
    self.defaults.fused = true
    check_group(self, self.defaults)
    for _, group in ipairs(as_groups(self, params)) do self:add_param_group(group) end
    return self
  end
  return class
end

--- Raises for options that the fused kernels do not have.
---@private
function Optimizer:refuse_unsupported()
  local defaults = self.defaults
  if defaults.foreach then fail(self, "foreach = true is not supported: the kernels are the fused ones") end
  if defaults.fused == false then fail(self, "fused = false is not supported: the kernels are the fused ones") end
  if defaults.differentiable then fail(self, "`fused` does not support `differentiable`") end
  if defaults.capturable then fail(self, "capturable = true is not supported") end
end

--- Adds parameters with hyperparameters of their own; what is not given is the optimizer's default.
---@param group {params: Tensor[]|Tensor, lr: number?}
---@example local a, b = torch.ones(1, {requires_grad = true}), torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({a}, {lr = 0.1})
--- optimizer:add_param_group{params = {b}, lr = 0.01}
--- #optimizer.param_groups  --> 2
function Optimizer:add_param_group(group)
  if type(group) ~= "table" then
    fail(self, "param_group must be a table, but got " .. vm.describe(group))
  end
  local params = group.params
  if torch.is_tensor(params) then params = {params} end
  if type(params) ~= "table" then
    fail(self, "a parameter group must have a list of tensors in 'params', got " .. vm.describe(params))
  end
  local added = {}
  for key, value in pairs(group) do added[key] = value end
  added.params = table.move(params, 1, #params, 1, {})
  for i, param in ipairs(added.params) do
    if not torch.is_tensor(param) then
      fail(self, ("optimizer can only optimize Tensors, but one of the params (number %d) is %s"):format(i,
        vm.describe(param)))
    end
  end
  for key, default in pairs(self.defaults) do
    if added[key] == nil then
      added[key] = type(default) == "table" and table.move(default, 1, #default, 1, {}) or default
    end
  end
  check_group(self, added)
  self._native:add_group(added.params)
  table.insert(self.param_groups, added)
end

--- One step. With a closure: calls it first, with gradients on, and returns what it returns.
---@param closure? fun(): Tensor
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item()  --> 0.5
function Optimizer:step(closure)
  local loss
  if closure then loss = torch.enable_grad(closure) end
  self._native:step(self.param_groups, self.found_inf, self.grad_scale)
  return loss
end

local parse_zero = signature("Optimizer.zero_grad", "set_to_none=true")

--- Clears the gradients.
---@param set_to_none boolean forgets them rather than fill them with zeros, true
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.1})
--- x:sum():backward()
--- optimizer:zero_grad()
--- x.grad  --> nil
function Optimizer:zero_grad(...) self._native:zero_grad((parse_zero(...))) end

local function copy_group(group)
  local copy = {}
  for key, value in pairs(group) do
    if type(value) == "table" then value = table.move(value, 1, #value, 1, {}) end
    copy[key] = value
  end
  return copy
end

--- {state = {[0] = {...}}, param_groups = {{lr = ..., params = {0, 1}}}}, as PyTorch lays it out.
---@return table
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1})
--- optimizer:state_dict().param_groups[1].lr  --> 0.1
function Optimizer:state_dict()
  -- Ordered, so that it is a dict whatever its keys are: {[1] = ...} would be a list.
  local state, groups, index = ordered.new(nil, nil, "dict"), {}, 0
  for i, group in ipairs(self.param_groups) do
    local copy = copy_group(group)
    copy.params = {}
    for k = 1, #group.params do
      copy.params[k] = index
      state[index] = self._native:state(index)
      index = index + 1
    end
    groups[i] = copy
  end
  return {state = state, param_groups = groups}
end

local function numbered(state, key)
  local value = state[key]
  if value == nil then value = state[tostring(key)] end  -- as JSON brings it back
  return value
end

--- Takes hyperparameters and state from another optimizer's state dict; tensors are copied. After an error the
--- optimizer is as it was.
---@param dict table as state_dict gives it
---@example local x = torch.ones(1, {requires_grad = true})
--- local a, b = torch.optim.SGD({x}, {lr = 0.1}), torch.optim.SGD({x}, {lr = 0.5})
--- b:load_state_dict(a:state_dict())
--- b.param_groups[1].lr  --> 0.1
function Optimizer:load_state_dict(dict)
  if type(dict) ~= "table" or type(dict.param_groups) ~= "table" or type(dict.state) ~= "table" then
    fail(self, "load_state_dict: expected a table with 'state' and 'param_groups', got " .. vm.describe(dict))
  end
  local saved = dict.param_groups
  if #saved ~= #self.param_groups then
    fail(self, "loaded state dict has a different number of parameter groups")
  end
  for i, group in ipairs(self.param_groups) do
    if #saved[i].params ~= #group.params then
      fail(self, "loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
    end
  end
  local fresh, groups, index = native.new(self._rule), {}, 0
  for i, group in ipairs(self.param_groups) do
    local loaded = copy_group(saved[i])
    loaded.params = nil
    for key, value in pairs(self.defaults) do
      if loaded[key] == nil then loaded[key] = value end
    end
    check_group(self, loaded)
    groups[i] = loaded
    fresh:add_group(group.params)
    for k = 1, #group.params do
      local state = numbered(dict.state, math.tointeger(saved[i].params[k]))
      local tensors = {}
      for name, value in pairs(state or {}) do
        tensors[name] = math.type(value) and torch.tensor(value, {dtype = torch.float32}) or value
      end
      if next(tensors) then fresh:set_state(index, tensors) end
      index = index + 1
    end
  end
  self._native = fresh
  for i, group in ipairs(self.param_groups) do
    -- The same table: whoever holds the group (a scheduler) sees the new values.
    for key in pairs(group) do
      if key ~= "params" and groups[i][key] == nil then group[key] = nil end
    end
    for key, value in pairs(groups[i]) do group[key] = value end
    group.fused = true
  end
end

function Optimizer:__tostring()
  local lines = {}
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = "Parameter Group " .. i - 1
    local keys = {}
    for key in pairs(group) do
      if key ~= "params" then keys[#keys + 1] = key end
    end
    for _, key in ipairs(self._none) do
      if group[key] == nil then keys[#keys + 1] = key end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do lines[#lines + 1] = ("    %s: %s"):format(key, text.value(group[key])) end
  end
  return ("%s (\n%s\n)"):format(self.__name, table.concat(lines, "\n"))
end

return Optimizer
