-- The batches whose gradients make one step: each is weighed by its count, and the step gets their mean.
local gradients = require "train.gradients"
local torch = require "torch"

local is_tensor <const> = torch.is_tensor

local Window = {}
Window.__index = Window

---An empty window.
---@param sums? boolean the losses are sums: they are added as they are
function Window.new(sums) return setmetatable({count = 0, sums = sums}, Window) end

---What to multiply the loss of the next batch with.
---@param count number|Tensor of that batch: its samples, tokens or weights
---@return number|Tensor 1 for the first batch and for those of its size
function Window:factor(count)
  if self.sums then return 1 end
  if self.count == 0 then self.samples = 0 end
  if self.count == 0 or self.first == 0 then  -- a batch that counts nothing has no gradients
    self.first = is_tensor(count) and count:clamp {min = torch.finfo(torch.float32).tiny} or count
    return 1
  end
  return count == self.first and 1 or count / self.first
end

---Takes that batch in, once its gradients are there.
---@param count number|Tensor
function Window:add(count)
  self.count = self.count + 1
  if not self.sums then self.samples = self.samples + count end
end

---The gradients become those of the mean over all that counts.
---@param parameters Tensor[]
function Window:average(parameters)
  if self.sums or self.samples == 0 then return end
  gradients.scale(parameters, self.first / self.samples)
end

return Window
