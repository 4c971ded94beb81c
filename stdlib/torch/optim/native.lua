-- Classes of optimizers whose step is native: one call for all parameters, by the rule of host/model/optimizer_NAME.cpp.
local Optimizer = require "torch.optim.optimizer"
local hooks = require "torch.optim.hooks"
local is_tensor <const> = require("native.tensor").is_tensor
local native = require "native.optim"
local torch = require "torch"
local vm = require "native.vm"

local Native = Optimizer.class("Native", nil)

local function fail(self, message, hint) vm.raise("usage", ("%s: %s"):format(self.__name, message), hint) end

local function index_of(self, param)
  local index = 0
  for _, group in ipairs(self.param_groups) do
    for _, each in ipairs(group.params) do
      if rawequal(each, param) or is_tensor(param) and each == param then return index end
      index = index + 1
    end
  end
  return nil
end

-- opt.state[parameter]: the state of a parameter by name, {} before its first step, a table of its own for each read
-- whose tensors are the optimizer's; opt.state[parameter] = {...} sets it. pairs gives the parameters that have one.
local function state_of(self)
  return setmetatable({}, {
    __name = "OptimizerState",
    __index = function(_, param)
      local index = index_of(self, param)
      return index and self._native:state(index) or {}
    end,
    __newindex = function(_, param, values)
      local index = index_of(self, param)
      if not index then fail(self, "state: this is no parameter of the optimizer") end
      self._native:set_state(index, values or {})
    end,
    __pairs = function()
      return coroutine.wrap(function()
        local index, seen = 0, {}
        for _, group in ipairs(self.param_groups) do
          for _, param in ipairs(group.params) do
            local state = not seen[param] and self._native:state(index)
            if state then coroutine.yield(param, state) end
            index, seen[param] = index + 1, true
          end
        end
      end)
    end,
  })
end

--- One step. With a closure: calls it first, with gradients on, and returns what it returns.
---@param closure? fun(): Tensor
function Native:step(closure)
  local loss
  if closure then loss = torch.enable_grad(closure) end
  self._native:step(self.param_groups, self.found_inf, self.grad_scale)
  return loss
end

local plain_step <const> = rawget(Native, "_step")

-- In place of Optimizer.step: the native step sets the mode of gradients itself.
rawset(Native, "step", function(self, closure)
  self._opt_called = true
  if hooks.has_step(self) then return hooks.step(self, plain_step, closure) end
  if closure then return plain_step(self, closure) end
  self._native:step(self.param_groups, self.found_inf, self.grad_scale)
end)

--- Checks the options of a new optimizer.
---@private
function Native:_prepare(defaults)
  self._native = native.new(self._rule)
  self.state = state_of(self)
  if self._forced then
    self._keys = table.move(self._keys, 1, #self._keys, 1, {})
    for key, value in pairs(self._forced) do
      defaults[key] = value
      table.insert(self._keys, key)
    end
  end
  self.defaults = defaults
  if self._check_group then self:_check_group(defaults) end
end

--- Refuses options that exclude each other, once the parameters are there: in PyTorch's order.
---@private
function Native:_finish()
  local defaults = self.defaults
  if defaults.fused then
    if defaults.differentiable then fail(self, "`fused` does not support `differentiable`") end
    if defaults.foreach then fail(self, "`fused` and `foreach` cannot be `True` together.") end
  end
  if self._finish_class then self:_finish_class() end
end

--- Makes a class over a native rule.
---@param name string
---@param rule string
---@param spec string keyword arguments with their defaults, as signatures write them
---@param checks table[] what torch.optim.checks has, in the order of PyTorch's own
---@return table class callable: class(params, {lr = ...})
---@private
function Native.over(name, rule, spec, checks)
  local class = Optimizer.class(name, spec, Native)
  rawset(class, "_rule", rule)
  function class:_check_group(group)
    for _, check in ipairs(checks) do check(self, group, fail) end
  end
  return class
end

return Native
