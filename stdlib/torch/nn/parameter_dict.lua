-- nn.ParameterDict: parameters by name, in the order in which they were added.
local is_tensor = require("native.tensor").is_tensor
local layer = require "torch.nn.layer"
local native = require "native.model"
local ordered = require "host.ordered"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

local ParameterDict = layer("ParameterDict", "parameters=nil")

--- Parameters by name; tensors become parameters, other values are kept as they are. `dict.name` and `dict["name"]` read
--- one, `dict:set(name, value)` adds one.
---@param parameters table<string, any>|table[]|Module? by name (plain tables in sorted order) or a list of {name, value}, nil
---@example nn.ParameterDict{scale = torch.ones(1)}:keys()  --> {"scale"}
---@source torch.nn.ParameterDict
function ParameterDict:__init(parameters)
  self._keys = {}
  if parameters ~= nil then self:update(parameters) end
end

local function place(self, name)
  for i, each in ipairs(native.fields(self)._keys) do
    if each == name then return i end
  end
  return nil
end

--- Adds or replaces; a tensor becomes a parameter.
---@param name string
---@param value any
---@return Module self
---@example nn.ParameterDict():set("scale", torch.ones(1)):contains("scale")  --> true
function ParameterDict:set(name, value)
  if type(name) ~= "string" then
    vm.raise("usage", ("Index given to ParameterDict cannot be used as a key as it is not a string (type is '%s')."):format(
      type(name)))
  end
  if is_tensor(value) and not native.is_parameter(value) then value = native.parameter(value, true) end
  local keys = native.fields(self)._keys
  if not place(self, name) then
    if self[name] ~= nil then vm.raise("usage", ("attribute '%s' already exists"):format(name)) end
    keys[#keys + 1] = name
  end
  self[name] = value
  return self
end

--- Adds all of a table, of a list of {name, value} or of another ParameterDict.
---@param parameters table<string, any>|table[]|Module
---@return Module self
---@example nn.ParameterDict():update{{"b", torch.ones(1)}, {"a", torch.ones(1)}}:keys()  --> {"b", "a"}
function ParameterDict:update(parameters)
  if native.is_module(parameters) then
    for name, value in parameters:items() do self:set(name, value) end
  elseif type(parameters) ~= "table" then
    vm.raise("usage", "ParametersDict.update should be called with an iterable of key/value pairs, but got "
      .. vm.describe(parameters))
  elseif #parameters > 0 then
    for i, item in ipairs(parameters) do
      if type(item) ~= "table" or item[1] == nil then
        vm.raise("usage", ("ParameterDict update sequence element #%d should be a list of a name and a value, got %s"):format(
          i - 1, vm.describe(item)))
      end
      self:set(item[1], item[2])
    end
  else
    for _, name in ipairs(ordered.keys(parameters)) do self:set(name, parameters[name]) end
  end
  return self
end

function ParameterDict:__len() return #native.fields(self)._keys end

--- The names in order.
---@return string[]
---@example nn.ParameterDict{a = torch.ones(1)}:keys()  --> {"a"}
function ParameterDict:keys()
  local keys = native.fields(self)._keys
  return table.move(keys, 1, #keys, 1, {})
end

--- The values in order.
---@return any[]
---@example #nn.ParameterDict{a = torch.ones(1)}:values()  --> 1
function ParameterDict:values()
  local values = self:keys()
  for i, name in ipairs(values) do values[i] = self[name] end
  return values
end

--- `for name, value in dict:items() do`
---@example for name in nn.ParameterDict{a = torch.ones(1)}:items() do assert(name == "a") end
function ParameterDict:items()
  local keys, i = native.fields(self)._keys, 0
  return function()
    i = i + 1
    if keys[i] ~= nil then return keys[i], self[keys[i]] end
  end
end
ParameterDict.__pairs = ParameterDict.items

--- Is there a value of that name?
---@param name string
---@return boolean
---@example nn.ParameterDict{a = torch.ones(1)}:contains("b")  --> false
function ParameterDict:contains(name) return place(self, name) ~= nil end

--- The value of that name, or a default.
---@param name string
---@param default any? nil
---@return any
---@example nn.ParameterDict():get("a", 3)  --> 3
function ParameterDict:get(name, default)
  if self:contains(name) then return self[name] end
  return default
end

--- The value of that name; a default is added first if there is none.
---@param name string
---@param default any? nil
---@return any
---@example #nn.ParameterDict():setdefault("a", torch.ones(3))  --> 3
function ParameterDict:setdefault(name, default)
  if not self:contains(name) then self:set(name, default) end
  return self[name]
end

--- Removes a value and returns it.
---@param name string
---@return any
---@example #nn.ParameterDict{a = torch.ones(3)}:pop("a")  --> 3
function ParameterDict:pop(name)
  local at = place(self, name)
  if not at then vm.raise("usage", ("ParameterDict has no '%s'"):format(tostring(name))) end
  local value = self[name]
  table.remove(native.fields(self)._keys, at)
  self[name] = nil
  return value
end

--- Removes the last value and returns its name and it.
---@return string name
---@return any value
---@example #(nn.ParameterDict{a = torch.ones(3)}:popitem())  --> 1
function ParameterDict:popitem()
  local keys = native.fields(self)._keys
  if #keys == 0 then vm.raise("usage", "popitem(): ParameterDict is empty") end
  local name = keys[#keys]
  return name, self:pop(name)
end

--- Removes all values.
---@example local dict = nn.ParameterDict{a = torch.ones(3)}
--- dict:clear()
--- #dict  --> 0
function ParameterDict:clear()
  for _, name in ipairs(self:keys()) do self:pop(name) end
end

--- A ParameterDict of the same parameters.
---@return Module
---@example nn.ParameterDict{a = torch.ones(3)}:copy():keys()  --> {"a"}
function ParameterDict:copy() return ParameterDict(self) end

--- dict | other: a new ParameterDict of both; a name of both has the value of `other`.
function ParameterDict.__bor(a, b)
  if native.is_module(a) and a:is_instance(ParameterDict) then return a:copy():update(b) end
  vm.raise("usage", ("unsupported operand type(s) for |: '%s' and '%s'"):format(python_type.name(a), python_type.name(b)))
end

--- A new ParameterDict of these names, all with one value.
---@param keys string[]
---@param default any? nil
---@return Module
---@example nn.ParameterDict():fromkeys({"a", "b"}, 1):keys()  --> {"a", "b"}
function ParameterDict:fromkeys(keys, default)
  local made = ParameterDict()
  for _, name in ipairs(keys) do made:set(name, default) end
  return made
end

function ParameterDict:extra_repr()
  local lines = {}
  for name, value in self:items() do
    lines[#lines + 1] = ("  (%s): %s"):format(name, python_type.entry(value, is_tensor(value) and value:type()))
  end
  return table.concat(lines, "\n")
end

--- A dict is not called: an error.
function ParameterDict:forward() vm.raise("usage", "ParameterDict should not be called.") end

return ParameterDict
