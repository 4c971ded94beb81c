-- nn.Sequential: modules called one after the other.
local check_list = require "torch.nn.list_of_modules"
local containers = require "torch.nn.containers"
local module = require "torch.nn.module"
local native = require "native.model"
local ordered = require "host.ordered"

local children_of <const> = native.children_of

---@class Sequential : Module
---@source torch.nn.Sequential
local Sequential = module.class("Sequential")
for name, method in pairs(containers) do Sequential[name] = method end

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

return Sequential
