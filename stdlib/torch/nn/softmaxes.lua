-- Softmax and its relatives of torch.nn.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields

local softmaxes = {}

local softmax <const>, log_softmax <const> = catalog.find_any "aten::softmax", catalog.find_any "aten::log_softmax"

-- `guess` is the function that takes no dimension, and warns.
local function over_dim(name, of, guess)
  local class = layer(name, "dim=nil", "dim: integer?")
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x)
    local dim = fields(self).dim
    if dim then return of(x, dim) end
    return guess(x)
  end
  function class:extra_repr() return text.fields(self, "dim") end
  return class
end

--- exp(x) divided by its sum over a dimension.
---@param dim integer? the dimension, from 0; a deprecated guess if not given
---@example nn.Softmax(0)(torch.zeros(2))  --> tensor([0.5000, 0.5000])
---@source torch.nn.Softmax
softmaxes.Softmax = over_dim("Softmax", softmax, functional.softmax)

--- The logarithm of softmax.
---@param dim integer? the dimension, from 0; a deprecated guess if not given
---@example nn.LogSoftmax(0)(torch.zeros(2))  --> tensor([-0.6931, -0.6931])
---@source torch.nn.LogSoftmax
softmaxes.LogSoftmax = over_dim("LogSoftmax", log_softmax, functional.log_softmax)

--- softmax of -x.
---@param dim integer? the dimension, from 0; a deprecated guess if not given
---@example nn.Softmin(0)(torch.tensor{0., 1.})  --> tensor([0.7311, 0.2689])
---@source torch.nn.Softmin
softmaxes.Softmin = over_dim("Softmin", function(x, dim) return softmax(-x, dim) end, functional.softmin)

--- softmax over the channels at each place of an image.
---@example nn.Softmax2d()(torch.zeros(2, 1, 1)):flatten()  --> tensor([0.5000, 0.5000])
---@source torch.nn.Softmax2d
local Softmax2d = layer("Softmax2d", "")
softmaxes.Softmax2d = Softmax2d

---@param x Tensor [batch, channels, height, width] or without batch
---@return Tensor of x's shape
function Softmax2d:forward(x)
  local dims = x:dim()
  if dims ~= 3 and dims ~= 4 then
    vm.raise("shape", ("Softmax2d: expected input to be 3D or 4D, got %dD instead"):format(dims))
  end
  return softmax(x, -3)
end

return softmaxes
