-- State dicts of optimizers, laid out as PyTorch's: {state = {[0] = {...}}, param_groups = {{lr = ..., params = {0, 1}}}}.
local hooks = require "torch.optim.hooks"
local is_tensor <const> = require("native.tensor").is_tensor
local native = require "native.optim"
local ordered = require "host.ordered"
local torch = require "torch"
local vm = require "native.vm"

local methods = {}

local function fail(self, message) vm.raise("usage", ("%s: %s"):format(self.__name, message)) end

-- Keeps holes: {nil, 0.001} has two elements.
local function copy(value, width)
  if type(value) ~= "table" then return value end
  return table.move(value, 1, width or #value, 1, {})
end

-- A group's hyperparameters in order, with a place for those that are None, and its parameters' numbers: that of the
-- last place where one is there twice, as PyTorch counts.
local function pack_group(self, group, numbers)
  local packed, known = ordered.new(nil, nil, "dict"), {params = true}
  local function put(key)
    known[key] = true
    if group[key] == nil then ordered.set_none(packed, key)
    else
      packed[key] = copy(group[key], self._widths[key])
      for i = 1, self._widths[key] or 0 do
        if packed[key][i] == nil then packed[key][i] = torch.None end
      end
    end
  end
  for _, key in ipairs(self._keys) do put(key) end
  for _, key in ipairs(ordered.keys(group)) do
    if not known[key] then put(key) end
  end
  packed.params = numbers
  return packed
end

--- {state = {[0] = {...}}, param_groups = {{lr = ..., params = {0, 1}}}}, as PyTorch lays it out.
---@return table
---@example local optimizer = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1})
--- optimizer:state_dict().param_groups[1].lr  --> 0.1
function methods:state_dict()
  hooks.run(self, "_state_dict_pre", nil)
  -- Ordered, so that it is a dict whatever its keys are: {[1] = ...} would be a list.
  local state, packed, index = ordered.new(nil, nil, "dict"), {}, 0
  for i, group in ipairs(self.param_groups) do
    local numbers, last = {}, {}
    for k, param in ipairs(group.params) do last[param] = index + k - 1 end
    for k, param in ipairs(group.params) do
      local values
      numbers[k] = last[param]
      if last[param] ~= index then
        values = nil
      elseif self._native then
        values = self._native:state(index)
      else
        local own = rawget(self.state, param)
        if own and next(own) ~= nil then
          values = {}
          for key, value in pairs(own) do values[key] = value end
        end
      end
      state[index] = values
      index = index + 1
    end
    packed[i] = pack_group(self, group, numbers)
  end
  return hooks.run(self, "_state_dict_post", {state = state, param_groups = packed})
end

local function numbered(state, key)
  local value = state[key]
  if value == nil then value = state[tostring(key)] end  -- as JSON brings it back
  return value
end

-- A loaded value as the parameter needs it, as PyTorch casts them; a copy.
local function cast(value, param, key, with_steps)
  if is_tensor(value) then
    if key == "step" then
      return with_steps and value:to(param.device, torch.float32, {copy = true}) or value:clone()
    end
    if param:is_floating_point() then return value:to(param.device, param.dtype, {copy = true}) end
    return value:to(param.device, {copy = true})
  end
  if type(value) ~= "table" then return value end
  local result = {}
  for each, inner in pairs(value) do
    if inner ~= torch.None then result[each] = cast(inner, param, each, with_steps) end
  end
  return result
end

-- A saved group's values without None; what it lacks is the optimizer's default, apart from the choice of kernels.
local function unpack_group(self, saved, group)
  local loaded = {}
  for key, value in pairs(saved) do
    if key ~= "params" and value ~= torch.None then loaded[key] = copy(value, self._widths[key]) end
    if type(loaded[key]) == "table" then
      for i = 1, self._widths[key] or 0 do
        if loaded[key][i] == torch.None then loaded[key][i] = nil end
      end
    end
  end
  for key, value in pairs(self.defaults) do
    if loaded[key] == nil and key ~= "foreach" and key ~= "fused" then loaded[key] = copy(value, self._widths[key]) end
  end
  if loaded.param_names == nil then loaded.param_names = group.param_names end
  if self._forced then
    for key, value in pairs(self._forced) do loaded[key] = value end
  end
  if self._check_group then self:_check_group(loaded) end
  return loaded
end

--- Takes hyperparameters and state from another optimizer's state dict; tensors are copied. After an error the
--- optimizer is as it was.
---@param dict table as state_dict gives it
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})}, {lr = 0.1})
--- local dict = opt:state_dict()
--- dict.param_groups[1].lr = 0.2
--- opt:load_state_dict(dict)
--- opt.param_groups[1].lr  --> 0.2
function methods:load_state_dict(dict)
  if type(dict) ~= "table" or type(dict.param_groups) ~= "table" or type(dict.state) ~= "table" then
    fail(self, "load_state_dict: expected a table with 'state' and 'param_groups', got " .. vm.describe(dict))
  end
  dict = hooks.run(self, "_load_state_dict_pre", {state = dict.state, param_groups = dict.param_groups})
  local saved = dict.param_groups
  if #saved ~= #self.param_groups then
    fail(self, "loaded state dict has a different number of parameter groups")
  end
  for i, group in ipairs(self.param_groups) do
    if #saved[i].params ~= #group.params then
      fail(self, "loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
    end
  end
  local fresh, states, loaded, index = self._native and native.new(self._rule), {}, {}, 0
  for i, group in ipairs(self.param_groups) do
    loaded[i] = unpack_group(self, saved[i], group)
    if fresh then fresh:add_group(group.params, self.defaults.differentiable) end
    local with_steps = saved[i].capturable == true or saved[i].fused == true
    for k, param in ipairs(group.params) do
      local state = numbered(dict.state, math.tointeger(saved[i].params[k]))
      if not fresh then
        states[param] = state and cast(state, param, nil, with_steps)
      elseif state and next(state) ~= nil then
        local values = {}
        for name, value in pairs(state) do
          if value ~= torch.None then values[name] = value end
        end
        fresh:set_state(index, values, with_steps)
      end
      index = index + 1
    end
  end
  if fresh then
    self._native = fresh
  else
    for param in pairs(self.state) do rawset(self.state, param, nil) end
    for param, state in pairs(states) do rawset(self.state, param, state) end
  end
  for i, group in ipairs(self.param_groups) do
    -- The same table: whoever holds the group (a scheduler) sees the new values.
    for key in pairs(group) do
      if key ~= "params" and loaded[i][key] == nil then group[key] = nil end
    end
    for key, value in pairs(loaded[i]) do group[key] = value end
  end
  hooks.run(self, "_load_state_dict_post", nil)
end

return methods
