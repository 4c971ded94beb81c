-- The state of a model, its optimizer, the data and the random numbers in memory, and going back to it bit for bit.
local generators = require "host.generators"
local keep <const> = require("native.tensor").keep
local modes = require "train.modes"
local torch = require "torch"

local Rewind = {}
Rewind.__index = Rewind

---A copy of a value with copies of the tensors in it.
---@param value any
---@return any
local function clone(value)
  if torch.is_tensor(value) then return keep(value:detach():clone()) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = clone(item) end
  return copy
end

local function tensors_of(model)
  local list = model and model:parameters() or {}
  return table.move(model and model:buffers() or {}, 1, model and #model:buffers() or 0, #list + 1, list)
end

---Takes the state of now.
---@param of table model, optimizer, data (a loader), step (a number, for who asks), random = false (also the default
---generators, gradients, and the mode of every module)
---@return table rewind with `restore()`, as often as it is wanted; a variable with <close> restores at the end of its scope
local function take(of)
  local self = setmetatable({of = of, step = of.step, copies = {}}, Rewind)
  for i, tensor in ipairs(tensors_of(of.model)) do self.copies[i] = clone(tensor) end
  local optimizer = of.optimizer
  if optimizer and optimizer.state_dict then
    local dict = optimizer:state_dict()
    self.optimizer = {state = clone(dict.state), param_groups = dict.param_groups}
  end
  local data = of.data
  if type(data) == "table" and getmetatable(data) and data.state_dict and data.load_state_dict then
    self.data = data:state_dict()
  end
  if not of.random then return self end
  self.generators = generators.take()
  self.gradients, self.restore_modes = {}, modes.remember(of.model)
  for i, parameter in ipairs(of.model and of.model:parameters() or {}) do
    self.gradients[i] = parameter.grad ~= nil and clone(parameter.grad)
  end
  return self
end

---Goes back. The learning rates of the optimizer go back too, unless they are to be kept.
---@param keep_rates? boolean
function Rewind:restore(keep_rates)
  local of = self.of
  local _ <close> = torch.no_grad()
  for i, tensor in ipairs(tensors_of(of.model)) do tensor:copy_(self.copies[i]) end
  if self.optimizer then
    local rates = {}
    for i, group in ipairs(of.optimizer.param_groups) do rates[i] = group.lr end
    of.optimizer:load_state_dict(self.optimizer)
    for i, group in ipairs(keep_rates and of.optimizer.param_groups or {}) do group.lr = rates[i] end
  end
  if self.data then of.data:load_state_dict(self.data) end
  if not of.random then return end
  for i, parameter in ipairs(of.model and of.model:parameters() or {}) do
    parameter.grad = self.gradients[i] and self.gradients[i]:clone() or nil
  end
  self.restore_modes()
  generators.restore(self.generators)
end

---@private
function Rewind:__close() self:restore() end

return {take = take, clone = clone}
