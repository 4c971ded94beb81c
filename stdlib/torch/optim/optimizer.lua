-- torch.optim.Optimizer: parameter groups, hooks and state dicts; the base of every optimizer, native or written in Lua.
--
-- `opt.param_groups` are plain tables that every step reads: writing opt.param_groups[1].lr takes effect.
local groups = require "torch.optim.groups"
local hooks = require "torch.optim.hooks"
local is_tensor <const> = require("native.tensor").is_tensor
local model = require "native.model"
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
for name, method in pairs(hooks.methods) do Optimizer[name] = method end
for name, method in pairs(require "torch.optim.state_dict") do Optimizer[name] = method end
Optimizer.register_optimizer_step_pre_hook = hooks.register_optimizer_step_pre_hook
Optimizer.register_optimizer_step_post_hook = hooks.register_optimizer_step_post_hook

--- Stands in `defaults` for what each group must bring itself.
Optimizer.required = setmetatable({}, {__tostring = function() return "<required parameter>" end})

local function fail(self, message, hint) vm.raise("usage", ("%s: %s"):format(self.__name, message), hint) end

-- {} for a parameter that has no state yet, and kept: as a defaultdict of Python.
local function new_state()
  return setmetatable({}, {__name = "OptimizerState", __index = function(self, param)
    if not is_tensor(param) then return nil end
    local state = {}
    rawset(self, param, state)
    return state
  end})
end

--- What a class's __init calls: takes the parameters and the hyperparameters' defaults.
---@param params any tensors, {name, tensor} pairs or groups
---@param defaults table<string, any>
---@private
function Optimizer:__init(params, defaults)
  self.defaults, self.param_groups = defaults or {}, {}
  if not self._keys then
    self._keys = {}
    for key in pairs(self.defaults) do table.insert(self._keys, key) end
    table.sort(self._keys)
  end
  self._widths = self._widths or {}
  self.state = self.state or new_state()
  for _, group in ipairs(groups.read(self, params)) do self:add_param_group(group) end
end

local function keys_of(spec)
  local keys = {}
  for key in spec:gsub("%b{}", ""):gmatch("([%a_][%w_]*)%s*=") do keys[#keys + 1] = key end
  return keys
end

--- A new class of optimizers. With `spec`, its hyperparameters with their defaults, it is called as those of torch.optim
--- are: MySGD(params, {lr = 0.1}); without, `__init(self, ...)` has to call torch.optim.Optimizer.__init(self, params,
--- defaults). `step` is called without gradients being recorded, unless defaults.differentiable.
---@param name string
---@param spec? string "lr=1e-3, betas={0.9, 0.99}"
---@param base? table another class, torch.optim.Optimizer
---@return table class
---@example local Plain = torch.optim.class("Plain", "lr=0.1")
--- function Plain:step()
---   for _, group in ipairs(self.param_groups) do
---     for _, p in ipairs(group.params) do p:add_(p.grad, {alpha = -group.lr}) end
---   end
--- end
--- local x = torch.ones(1, {requires_grad = true})
--- x:sum():backward()
--- Plain({x}, {lr = 0.5}):step()
--- x:item()  --> 0.5
function Optimizer.class(name, spec, base)
  if type(name) ~= "string" then
    vm.raise("usage", "torch.optim.class: argument 'name' must be a string, got " .. vm.describe(name))
  end
  base = base or Optimizer
  local class = {__name = name, __tostring = base.__tostring}
  class.__index = class
  local keys = spec and keys_of(spec)
  local parse = spec and signature("torch.optim." .. name, "params, " .. spec)
  local meta = {
    __index = base, __name = "class",
    __tostring = function() return "class " .. name end,
    -- A class's own step is found under another name: Optimizer.step runs the hooks around it.
    __newindex = function(self, key, value) rawset(self, key == "step" and "_step" or key, value) end,
  }
  function meta.__call(_, params, ...)
    if model.is_module(params) then groups.read(class, params) end
    local self = setmetatable({}, class)
    if parse and class.__init == Optimizer.__init then
      local options = ...
      local none = options == nil or type(options) == "table" and next(options) == nil
      local values = none and table.pack(parse(params)) or table.pack(parse(params, ...))
      local defaults = {}
      self._keys = keys
      for i, key in ipairs(keys) do defaults[key] = values[i + 1] end
      if class._prepare then self:_prepare(defaults) end
      self:__init(params, defaults)
      if class._finish then self:_finish() end
    else
      self:__init(params, ...)
    end
    return self
  end
  return setmetatable(class, meta)
end

--- Adds parameters with hyperparameters of their own; what is not given is the optimizer's default.
---@param group {params: Tensor[]|Tensor, lr: number?}
---@example local a, b = torch.ones(1, {requires_grad = true}), torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({a}, {lr = 0.1})
--- optimizer:add_param_group{params = {b}, lr = 0.01}
--- #optimizer.param_groups  --> 2
function Optimizer:add_param_group(group)
  local made = groups.make(self, group)
  if self._check_group then self:_check_group(made) end
  local known, own, is_repeated = {}, {}, false
  for _, other in ipairs(self.param_groups) do
    for _, param in ipairs(other.params) do known[param] = true end
  end
  for _, param in ipairs(made.params) do
    is_repeated, own[param] = is_repeated or own[param], true
  end
  if is_repeated then
    require "torch.warn"("optimizer contains a parameter group with duplicate parameters; in future, this will cause an "
      .. "error; see github.com/pytorch/pytorch/issues/40967 for more information")
  end
  for _, param in ipairs(made.params) do
    if not self.defaults.differentiable and not (param.is_leaf or param.retains_grad) then
      fail(self, "can't optimize a non-leaf Tensor")
    end
    if known[param] then fail(self, "some parameters appear in more than one parameter group") end
  end
  if self._native then self._native:add_group(made.params, self.defaults.differentiable) end
  table.insert(self.param_groups, made)
end

--- One step, with the hooks. With a closure: calls it first, with gradients on, and returns what it returns.
---@param closure? fun(): Tensor
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- x:sum():backward()
--- optimizer:step()
--- x:item()  --> 0.5
function Optimizer:step(...)
  local step = self._step
  if not step then fail(self, "step is not implemented", "function MyOptimizer:step(closure) ... end") end
  self._opt_called = true
  local _ <close> = torch.set_grad_enabled(self.defaults.differentiable == true)
  if hooks.has_step(self) then return hooks.step(self, step, ...) end
  return step(self, ...)
end

local parse_zero = signature("Optimizer.zero_grad", "set_to_none=true")

--- Clears the gradients.
---@param set_to_none boolean forgets them rather than fill them with zeros, true
---@example local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.1})
--- x:sum():backward()
--- optimizer:zero_grad()
--- x.grad  --> nil
function Optimizer:zero_grad(...)
  local set_to_none = parse_zero(...)
  if self._native then return self._native:zero_grad(set_to_none) end
  for _, group in ipairs(self.param_groups) do
    for _, param in ipairs(group.params) do
      local grad = param.grad
      if grad ~= nil then
        if set_to_none then param.grad = nil
        elseif grad.grad_fn then grad:detach_():zero_()
        else grad:requires_grad_(false):zero_() end
      end
    end
  end
end

local function shown(self, group, key)
  local value, width = group[key], self._widths[key]
  if key == "param_names" then return text.list(value) end
  if width and type(value) == "table" then  -- (None, 0.001)
    local parts = {}
    for k = 1, width do parts[k] = text.value(value[k]) end
    return "(" .. table.concat(parts, ", ") .. ")"
  end
  return text.format(value)
end

function Optimizer:__tostring()
  local lines = {}
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = (i > 1 and "\n" or "") .. "Parameter Group " .. i - 1
    local keys, seen = {}, {params = true}
    for _, source in ipairs {self._keys, group} do
      for key, value in pairs(source) do
        key = source == group and key or value
        if not seen[key] then
          seen[key] = true
          keys[#keys + 1] = key
        end
      end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do lines[#lines + 1] = ("    %s: %s"):format(key, shown(self, group, key)) end
  end
  return ("%s (\n%s\n)"):format(self.__name, table.concat(lines, "\n"))
end

return Optimizer
