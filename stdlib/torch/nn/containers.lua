-- What Sequential and ModuleList share: children named 0, 1, 2 ... and found by 0-based index.
local check_list = require "torch.nn.list_of_modules"
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

local methods = {}

local function name_at(self, i)
  local names = native.child_list(self)
  local exact = type(i) == "number" and math.tointeger(i)
  if not exact then
    vm.raise("usage", ("%s: modules are indexed by integers and slices, got %s"):format(native.class_of(self).__name,
      vm.describe(i)))
  end
  local at = exact < 0 and #names + exact or exact
  if at < 0 or at >= #names then
    vm.raise("usage", ("index %s is out of range: %s has %d modules, counted from 0"):format(tostring(i),
      native.class_of(self).__name, #names))
  end
  return names[at + 1], at
end

function methods:__len() return #native.children_of(self) end

-- Children under the names 0, 1, 2 ...
local function refill(self, children)
  for _, name in ipairs((native.child_list(self))) do self[name] = nil end
  for i, child in ipairs(children) do self[tostring(i - 1)] = child end
end

local function copy_of_list(self) return table.move(native.children_of(self), 1, #native.children_of(self), 1, {}) end

--- seq[i] is a module; seq["1:3"] and seq[torch.slice(1, 3)] are a container of the same class.
function methods:__getitem(i)
  local chosen = native.slice_indices(i, #self)
  if not chosen then return native.fields(self)[name_at(self, i)] end
  local names, children = native.child_list(self)
  local names_chosen, chosen_children = {}, {}
  for k, at in ipairs(chosen) do names_chosen[k], chosen_children[k] = names[at + 1], children[at + 1] end
  return native.class_of(self):__of(names_chosen, chosen_children)
end

--- seq[i] = module replaces; seq[i] = nil and seq[torch.slice(1, 3)] = nil remove, and renumber.
function methods:__setitem(i, child)
  if child ~= nil then
    self[name_at(self, i)] = child
    return
  end
  local children = copy_of_list(self)
  local chosen = native.slice_indices(i, #self) or {select(2, name_at(self, i))}
  table.sort(chosen)
  for k = #chosen, 1, -1 do table.remove(children, chosen[k] + 1) end
  refill(self, children)
end

-- The modules of a list or of another container, as a list.
local function list_of(self, modules)
  if type(modules) == "table" then
    check_list(modules, native.class_of(self).__name)
    return modules
  end
  local class = native.is_module(modules) and native.class_of(modules)
  if not class or not class.__pairs then vm.raise("usage", self.__no_list:format(python_type.name(modules))) end
  local list = {}
  -- A dict gives its names, as in Python.
  for key, item in pairs(modules) do list[#list + 1] = class.__getitem and item or key end
  return list
end

--- Adds at the end.
---@param module Module
---@return Module self
---@example #nn.ModuleList():append(nn.ReLU())  --> 1
function methods:append(module)
  self:add_module(tostring(#self), module)
  return self
end

--- Adds all of a list (or another container) at the end.
---@param modules Module[]|Module
---@return Module self
---@example #nn.ModuleList{nn.ReLU()}:extend({nn.Tanh(), nn.ReLU()})  --> 3
function methods:extend(modules)
  for _, module in ipairs(list_of(self, modules)) do self:append(module) end
  return self
end

--- Adds before index i.
---@param i integer from 0; negative from the end
---@param module Module
---@return Module self
---@example nn.ModuleList{nn.ReLU()}:insert(0, nn.Tanh())[0]  --> Tanh()
function methods:insert(i, module)
  if not native.is_module(module) then
    vm.raise("usage", "module should be of type: <class 'torch.nn.modules.module.Module'>")
  end
  local children = copy_of_list(self)
  local at = type(i) == "number" and math.tointeger(i)
  if not at or at < -#children or at > #children then vm.raise("usage", "Index out of range: " .. tostring(i)) end
  table.insert(children, (at < 0 and #children + at or at) + 1, module)
  refill(self, children)
  return self
end

--- Removes and returns the module at i, or the container of those of a slice.
---@param i integer|string|userdata from 0, negative from the end; "1:3", torch.slice(1, 3)
---@return Module
---@example nn.ModuleList{nn.ReLU(), nn.Tanh()}:pop(-1)  --> Tanh()
function methods:pop(i)
  local child = methods.__getitem(self, i)
  methods.__setitem(self, i, nil)
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
