-- nn.Sequential: modules called one after the other.
local check_list = require "torch.nn.list_of_modules"
local containers = require "torch.nn.containers"
local module = require "torch.nn.module"
local native = require "native.model"
local ordered = require "host.ordered"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

local children_of <const> = native.children_of

---@class Sequential : Module
---@source torch.nn.Sequential
local Sequential = module.class("Sequential")
for name, method in pairs(containers) do Sequential[name] = method end
Sequential.__no_list = "'%s' object is not iterable"

--- Modules in order; or one table: a list of modules, a list of {name, module} or an ordered table of them.
---@example nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))(torch.ones(5, 3)).shape  --> torch.Size([5, 2])
---@source torch.nn.Sequential
function Sequential:__init(...)
  local first = ...
  if type(first) ~= "table" then
    for i = 1, select("#", ...) do self:add_module(tostring(i - 1), (select(i, ...))) end
  elseif ordered.is(first) then
    for name, child in pairs(first) do self:add_module(name, child) end
  else
    check_list(first, "nn.Sequential")
    for i, item in ipairs(first) do
      if type(item) == "table" then self:add_module(item[1], item[2])
      else self:add_module(tostring(i - 1), item) end
    end
  end
end

---@param x any what the first module takes
---@return any what the last module gives
function Sequential:forward(x)
  local list = children_of(self)
  for i = 1, #list do x = list[i](x) end
  return x
end

-- What a slice gives: the modules keep their names.
function Sequential:__of(names, children) return self(ordered.new(names, children)) end

local function is_sequential(value) return native.is_module(value) and value:is_instance(Sequential) end

--- a + b: a new Sequential of the modules of both.
function Sequential.__add(a, b)
  if not is_sequential(a) then
    vm.raise("usage", ("unsupported operand type(s) for +: '%s' and '%s'"):format(python_type.name(a),
      python_type.name(b)))
  end
  if not is_sequential(b) then
    vm.raise("usage", ("add operator supports only objects of Sequential class, but %s is given."):format(
      python_type.class(b)))
  end
  return Sequential():extend(a):extend(b)
end

--- sequential * n, n * sequential: a new Sequential that has the same modules n times.
function Sequential.__mul(a, b)
  if not is_sequential(a) then a, b = b, a end
  local times = type(b) == "number" and math.tointeger(b)
  if not times then
    vm.raise("usage", ("unsupported operand type(s) for *: %s and %s"):format(python_type.class(a), python_type.class(b)))
  end
  if times <= 0 then
    vm.raise("usage", ("Non-positive multiplication factor %d for %s"):format(times, python_type.class(a)))
  end
  local made = Sequential()
  for _ = 1, times do made:extend(a) end
  return made
end

return Sequential
