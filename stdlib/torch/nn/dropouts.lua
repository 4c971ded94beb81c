-- Dropouts of torch.nn: zeroes elements or whole channels while training.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields

local dropouts = {}

-- f(x, p, training, inplace)
local function dropout(name, of)
  local class, parse = layer(name, "p=0.5, inplace=false", "p: number, inplace: flag")
  function class:__init(...)
    self.p, self.inplace = parse(...)
    if self.p < 0 or self.p > 1 then
      vm.raise("usage", "dropout probability has to be between 0 and 1, but got " .. text.value(self.p))
    end
  end
  ---@param x Tensor
  ---@return Tensor of x's shape
  function class:forward(x)
    local f = fields(self)
    return of(x, f.p, self.training, f.inplace)
  end
  function class:extra_repr() return text.fields(self, "p", "inplace") end
  return class
end

local plain <const>, in_place <const> = catalog.find_any "aten::dropout", catalog.find_any "aten::dropout_"
local alpha <const>, feature_alpha <const> = catalog.find_any "aten::alpha_dropout",
  catalog.find_any "aten::feature_alpha_dropout"

--- Zeroes elements with probability p while training, and scales the others by 1 / (1 - p).
---@param p number probability of a zero, 0.5
---@param inplace boolean writes into the input, false
---@example nn.Dropout(0.5):eval()(torch.ones(3))  --> tensor([1., 1., 1.])
---@source torch.nn.Dropout
dropouts.Dropout = dropout("Dropout", function(x, p, training, inplace)
  return (inplace and in_place or plain)(x, p, training)
end)

--- Zeroes whole channels of a signal [batch, channels, length] while training.
---@param p number probability of a zero, 0.5
---@param inplace boolean writes into the input, false
---@example nn.Dropout1d(1)(torch.ones(1, 1, 2))  --> tensor([[[0., 0.]]])
---@source torch.nn.Dropout1d
dropouts.Dropout1d = dropout("Dropout1d", functional.dropout1d)

--- Zeroes whole channels of an image [batch, channels, height, width] while training.
---@param p number probability of a zero, 0.5
---@param inplace boolean writes into the input, false
---@example nn.Dropout2d(1)(torch.ones(1, 1, 1, 2))  --> tensor([[[[0., 0.]]]])
---@source torch.nn.Dropout2d
dropouts.Dropout2d = dropout("Dropout2d", functional.dropout2d)

--- Zeroes whole channels of a volume [batch, channels, depth, height, width] while training.
---@param p number probability of a zero, 0.5
---@param inplace boolean writes into the input, false
---@example nn.Dropout3d(1)(torch.ones(1, 1, 1, 1, 2)):flatten()  --> tensor([0., 0.])
---@source torch.nn.Dropout3d
dropouts.Dropout3d = dropout("Dropout3d", functional.dropout3d)

--- Dropout that keeps mean and variance of SELU's outputs.
---@param p number probability of a masked element, 0.5
---@param inplace boolean has no effect, as in PyTorch; false
---@example nn.AlphaDropout():eval()(torch.ones(2))  --> tensor([1., 1.])
---@source torch.nn.AlphaDropout
dropouts.AlphaDropout = dropout("AlphaDropout", function(x, p, training) return alpha(x, p, training) end)

--- AlphaDropout of whole channels.
---@param p number probability of a masked channel, 0.5
---@param inplace boolean has no effect, as in PyTorch; false
---@example nn.FeatureAlphaDropout():eval()(torch.ones(1, 2))  --> tensor([[1., 1.]])
---@source torch.nn.FeatureAlphaDropout
dropouts.FeatureAlphaDropout = dropout("FeatureAlphaDropout", function(x, p, training)
  return feature_alpha(x, p, training)
end)

return dropouts
