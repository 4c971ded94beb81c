-- The batches whose gradients make one step: each is weighed by its samples, and the step gets their mean.
local gradients = require "train.gradients"

local Window = {}
Window.__index = Window

---An empty window.
function Window.new() return setmetatable({count = 0}, Window) end

---What to multiply the loss of the next batch with.
---@param samples number of that batch
---@return number 1 for the first batch and for those of its size
function Window:factor(samples)
  if self.count == 0 then self.first, self.samples = samples, 0 end
  return samples == self.first and 1 or samples / self.first
end

---Takes that batch in, once its gradients are there.
---@param samples number
function Window:add(samples) self.count, self.samples = self.count + 1, self.samples + samples end

---The gradients become those of the mean over all its samples.
---@param parameters Tensor[]
function Window:average(parameters) gradients.scale(parameters, self.first / self.samples) end

return Window
