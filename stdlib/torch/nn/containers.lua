-- What Sequential and ModuleList share: children named 0, 1, 2 ... and found by 0-based index.
local native = require "native.model"
local vm = require "native.vm"

local methods = {}

local function name_at(self, i)
  local names = native.child_list(self)
  local at = i < 0 and #names + i or i
  if math.type(i) ~= "integer" or at < 0 or at >= #names then
    vm.raise("usage", ("index %s is out of range: %s has %d modules, counted from 0"):format(tostring(i),
      native.class_of(self).__name, #names))
  end
  return names[at + 1], at
end

function methods:__len() return #native.children_of(self) end

function methods:__getitem(i)
  local name = name_at(self, i)
  return native.fields(self)[name]
end

local function refill(self, children)
  for _, name in ipairs((native.child_list(self))) do self[name] = nil end
  for i, child in ipairs(children) do self[tostring(i - 1)] = child end
end

local function copy_of_list(self) return table.move(native.children_of(self), 1, #native.children_of(self), 1, {}) end

--- seq[i] = module replaces, seq[i] = nil removes (and renumbers).
function methods:__setitem(i, child)
  if type(i) ~= "number" then vm.raise("usage", "modules are indexed by integers, got " .. vm.describe(i)) end
  local name, at = name_at(self, i)
  if child ~= nil then
    self[name] = child
    return
  end
  local children = copy_of_list(self)
  table.remove(children, at + 1)
  refill(self, children)
end

--- Adds at the end.
---@param child Module
---@return Module self
---@example #nn.ModuleList():append(nn.ReLU())  --> 1
function methods:append(child)
  self:add_module(tostring(#self), child)
  return self
end

--- Adds all of a list (or another container) at the end.
---@param list Module[]|Module
---@return Module self
---@example #nn.ModuleList{nn.ReLU()}:extend({nn.Tanh(), nn.ReLU()})  --> 3
function methods:extend(list)
  if native.is_module(list) then list = native.children_of(list) end
  for _, child in ipairs(list) do self:append(child) end
  return self
end

--- Adds before index i.
---@param i integer from 0; negative from the end
---@param child Module
---@return Module self
---@example nn.ModuleList{nn.ReLU()}:insert(0, nn.Tanh())[0]  --> Tanh()
function methods:insert(i, child)
  local children = copy_of_list(self)
  table.insert(children, (i < 0 and #children + i or i) + 1, child)
  refill(self, children)
  return self
end

--- Removes and returns the module at i.
---@param i integer from 0; negative from the end
---@return Module
---@example nn.ModuleList{nn.ReLU(), nn.Tanh()}:pop(-1)  --> Tanh()
function methods:pop(i)
  local child = self[i]
  self[i] = nil
  return child
end

--- `for i, module in seq:iter() do`, i from 0.
---@example for i, module in nn.ModuleList{nn.ReLU()}:iter() do test.equal(i, 0) end
function methods:iter()
  local children, i = native.children_of(self), -1
  return function()
    i = i + 1
    local child = children[i + 1]
    if child ~= nil then return i, child end
  end
end

function methods:__pairs() return self:iter() end

return methods
