-- nn.ParameterList: parameters that its owner uses as it likes, counted from 0.
local is_tensor = require("native.tensor").is_tensor
local layer = require "torch.nn.layer"
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

local ParameterList, parse = layer("ParameterList", "values=nil")

--- A list of parameters; tensors become parameters, other values are kept as they are.
---@param values any[]|Module? in order, nil
---@example #nn.ParameterList{torch.ones(2), torch.ones(3)}:parameters()  --> 2
---@source torch.nn.ParameterList
function ParameterList:__init(...)
  self._size = 0
  local values = parse(...)
  if values ~= nil then self:extend(values) end
end

local function name_at(self, i)
  local size = native.fields(self)._size
  local exact = type(i) == "number" and math.tointeger(i)
  if not exact then
    vm.raise("usage", ("'%s' object cannot be interpreted as an integer"):format(python_type.name(i)))
  end
  local at = exact < 0 and size + exact or exact
  if at < 0 or at >= size then vm.raise("usage", ("index %s is out of range"):format(tostring(i))) end
  return tostring(at)
end

--- list[i] is a value; list["1:3"] and list[torch.slice(1, 3)] are a ParameterList.
function ParameterList:__getitem(i)
  local fields = native.fields(self)
  local chosen = native.slice_indices(i, fields._size)
  if not chosen then return fields[name_at(self, i)] end
  local made = native.class_of(self)()
  for _, at in ipairs(chosen) do made:append(fields[tostring(at)]) end
  return made
end

--- list[i] = tensor replaces; a tensor becomes a parameter.
function ParameterList:__setitem(i, value)
  if is_tensor(value) and not native.is_parameter(value) then value = native.parameter(value, true) end
  self[name_at(self, i)] = value
end

function ParameterList:__len() return native.fields(self)._size end

--- Adds at the end.
---@param value any a tensor becomes a parameter
---@return Module self
---@example #nn.ParameterList():append(torch.ones(2))  --> 1
function ParameterList:append(value)
  local size = native.fields(self)._size
  self._size = size + 1
  self[size] = value
  return self
end

--- Adds all of a list (or another ParameterList) at the end.
---@param values any[]|Module
---@return Module self
---@example #nn.ParameterList():extend{torch.ones(2), torch.ones(2)}  --> 2
function ParameterList:extend(values)
  if native.is_module(values) and values:is_instance(ParameterList) then
    for _, value in values:iter() do self:append(value) end
    return self
  end
  if type(values) ~= "table" then
    vm.raise("usage", "ParameterList.extend should be called with an iterable, but got " .. python_type.name(values))
  end
  for i = 1, #values do self:append(values[i]) end
  return self
end

--- `for i, parameter in list:iter() do`, i from 0.
---@example for i, p in nn.ParameterList{torch.ones(2)}:iter() do assert(i == 0 and #p == 2) end
function ParameterList:iter()
  local f, i = native.fields(self), -1
  return function()
    i = i + 1
    if i < f._size then return i, f[tostring(i)] end
  end
end

function ParameterList:__pairs() return self:iter() end

function ParameterList:extra_repr()
  local lines = {}
  for i, value in self:iter() do
    lines[#lines + 1] = ("  (%d): %s"):format(i, python_type.entry(value, is_tensor(value) and tostring(value.dtype)))
  end
  return table.concat(lines, "\n")
end

--- A list is not called: an error.
function ParameterList:forward() vm.raise("usage", "ParameterList should not be called.") end

return ParameterList
