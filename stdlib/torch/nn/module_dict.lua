-- nn.ModuleDict: modules by name, in the order in which they were added.
local module = require "torch.nn.module"
local native = require "native.model"
local ordered = require "host.ordered"
local vm = require "native.vm"

---@class ModuleDict : Module
local ModuleDict = module.class("ModuleDict")

---@param modules table<string, Module>|table[]? by name (plain tables in sorted order) or a list of {name, module}, nil
---@example nn.ModuleDict{head = nn.Linear(2, 1)}.head  --> Linear(in_features=2, out_features=1, bias=True)
---@source torch.nn.ModuleDict
function ModuleDict:__init(modules)
  if modules then self:update(modules) end
end

--- Adds modules; one of the same name is replaced.
---@param modules table<string, Module>|table[]|Module by name (plain tables in sorted order), a list of {name, module} or
---another ModuleDict
---@return ModuleDict self
---@example nn.ModuleDict{a = nn.ReLU()}:update({b = nn.Tanh()}):keys()  --> {"a", "b"}
function ModuleDict:update(modules)
  if native.is_module(modules) then
    for name, child in modules:items() do self:add_module(name, child) end
  elseif type(modules) ~= "table" then
    vm.raise("usage", "ModuleDict.update should be called with an iterable of key/value pairs, but got "
      .. vm.describe(modules))
  elseif #modules > 0 then
    for _, item in ipairs(modules) do self:add_module(item[1], item[2]) end
  else
    for _, name in ipairs(ordered.keys(modules)) do self:add_module(name, modules[name]) end
  end
  return self
end

function ModuleDict:__len() return #native.children_of(self) end

--- The names in order.
---@return string[]
---@example nn.ModuleDict{{"b", nn.ReLU()}, {"a", nn.Tanh()}}:keys()  --> {"b", "a"}
function ModuleDict:keys() return (native.child_list(self)) end
--- The modules in order.
---@return Module[]
---@example nn.ModuleDict{a = nn.ReLU(), b = nn.Tanh()}:values()  --> {ReLU(), Tanh()}
function ModuleDict:values() return (select(2, native.child_list(self))) end
--- `for name, module in dict:items() do`
---@example for name, module in nn.ModuleDict{a = nn.ReLU()}:items() do test.equal(name, "a") end
function ModuleDict:items()
  local names, children = native.child_list(self)
  local i = 0
  return function()
    i = i + 1
    return names[i], children[i]
  end
end
ModuleDict.__pairs = ModuleDict.items

--- Is there a module of that name?
---@param name string
---@return boolean
---@example nn.ModuleDict{a = nn.ReLU()}:contains("b")  --> false
function ModuleDict:contains(name) return native.slot(self, name) == "child" end

--- Removes a module and returns it.
---@param name string
---@return Module
---@example local heads = nn.ModuleDict{a = nn.ReLU(), b = nn.Tanh()}
--- heads:pop("a")  --> ReLU()
--- heads:keys()  --> {"b"}
function ModuleDict:pop(name)
  if not self:contains(name) then vm.raise("usage", ("ModuleDict has no '%s'"):format(tostring(name))) end
  local child = self[name]
  self[name] = nil
  return child
end

--- Removes all modules.
---@example local heads = nn.ModuleDict{a = nn.ReLU()}
--- heads:clear()
--- #heads  --> 0
function ModuleDict:clear()
  for _, name in ipairs(self:keys()) do self[name] = nil end
end

return ModuleDict
