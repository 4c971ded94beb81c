-- The batches whose gradients make one step: each is weighed by its samples, and the step gets their mean.
local gradients = require "train.gradients"

local Window = {}
Window.__index = Window

---An empty window.
function Window.new() return setmetatable({count = 0}, Window) end

---Takes a batch in.
---@param samples number
---@return number what to multiply its loss with; 1 for the first and for those of its size
function Window:add(samples)
  if self.count == 0 then self.first, self.samples = samples, 0 end
  self.count, self.samples = self.count + 1, self.samples + samples
  return samples == self.first and 1 or samples / self.first
end

---The gradients become those of the mean over all its samples.
---@param parameters Tensor[]
function Window:average(parameters) gradients.scale(parameters, self.first / self.samples) end

return Window
