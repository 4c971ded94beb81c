-- Layers of torch.nn that only arrange elements anew: Flatten, Unflatten, pixel and channel shuffles, Fold, Unfold.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields

local layers = {}

local function op(name) return catalog.find_any("aten::" .. name) end
local flatten <const>, unflatten <const>, fold <const>, unfold <const> = op "flatten", op "unflatten", functional.fold,
  functional.unfold

--- Dimensions start_dim to end_dim become one.
---@param start_dim integer the first dimension, 1
---@param end_dim integer the last dimension, -1
---@example nn.Flatten()(torch.ones(2, 3, 4)).shape  --> torch.Size([2, 12])
---@source torch.nn.Flatten
local Flatten = layer("Flatten", "start_dim=1, end_dim=-1", "start_dim: integer, end_dim: integer")
layers.Flatten = Flatten

---@param x Tensor
---@return Tensor with the dimensions from start_dim to end_dim as one
function Flatten:forward(x)
  local f = fields(self)
  return flatten(x, f.start_dim, f.end_dim)
end
function Flatten:extra_repr() return text.fields(self, "start_dim", "end_dim") end

--- One dimension becomes several.
---@param dim integer the dimension, from 0
---@param unflattened_size integer[] sizes that it becomes; one of them may be -1
---@example nn.Unflatten(1, {2, 3})(torch.ones(4, 6)).shape  --> torch.Size([4, 2, 3])
---@source torch.nn.Unflatten
local Unflatten, parse = layer("Unflatten", "dim, unflattened_size", "dim: integer")
layers.Unflatten = Unflatten

function Unflatten:__init(...)
  local dim, sizes = parse(...)
  if type(sizes) ~= "table" then
    vm.raise("usage", "unflattened_size must be a tuple of ints, but found type " .. vm.describe(sizes))
  end
  for i = 1, #sizes do
    if not math.tointeger(sizes[i]) then
      vm.raise("usage", ("unflattened_size must be tuple of ints, but found element of type %s at pos %d"):format(
        vm.describe(sizes[i]), i - 1))
    end
  end
  self.dim, self.unflattened_size = dim, sizes
end

---@param x Tensor
---@return Tensor with more dimensions
function Unflatten:forward(x)
  local f = fields(self)
  return unflatten(x, f.dim, f.unflattened_size)
end
function Unflatten:extra_repr() return text.fields(self, "dim", "unflattened_size") end

local function of_number(name, of, field)
  local class = layer(name, field, field .. ": size")
  ---@param x Tensor [batch, channels, height, width]
  ---@return Tensor of as many elements
  function class:forward(x) return of(x, fields(self)[field]) end
  function class:extra_repr() return text.pairs(field, self[field]) end
  return class
end

--- Channels become pixels: [channels r^2, height, width] becomes [channels, height r, width r] (Shi 2016).
---@param upscale_factor integer r
---@example nn.PixelShuffle(2)(torch.ones(1, 8, 3, 3)).shape  --> torch.Size([1, 2, 6, 6])
---@source torch.nn.PixelShuffle
layers.PixelShuffle = of_number("PixelShuffle", op "pixel_shuffle", "upscale_factor")

--- Pixels become channels: the inverse of PixelShuffle.
---@param downscale_factor integer r
---@example nn.PixelUnshuffle(2)(torch.ones(1, 2, 6, 6)).shape  --> torch.Size([1, 8, 3, 3])
---@source torch.nn.PixelUnshuffle
layers.PixelUnshuffle = of_number("PixelUnshuffle", op "pixel_unshuffle", "downscale_factor")

--- Channels of the groups by turns.
---@param groups integer divides the channels
---@example nn.ChannelShuffle(2)(torch.tensor{1., 2., 3., 4.}:view(1, 4, 1, 1)):flatten()  --> tensor([1., 3., 2., 4.])
---@source torch.nn.ChannelShuffle
layers.ChannelShuffle = of_number("ChannelShuffle", op "channel_shuffle", "groups")

local FOLD_KINDS <const> = "kernel_size: sizes, dilation: sizes, padding: sizes, stride: sizes"

local function window_repr(self)
  return text.fields(self, "kernel_size", "dilation", "padding", "stride")
end

--- Adds columns up to an image, where windows overlap too: the adjoint of Unfold.
---@param output_size integer|integer[] height and width of the image
---@param kernel_size integer|integer[] of the window
---@param dilation integer|integer[] between the window's elements, 1
---@param padding integer|integer[] zeros on both sides, 0
---@param stride integer|integer[] between windows, 1
---@example nn.Fold({2, 2}, 2)(torch.ones(1, 4, 1)).shape  --> torch.Size([1, 1, 2, 2])
---@source torch.nn.Fold
local Fold = layer("Fold", "output_size, kernel_size, dilation=1, padding=0, stride=1", "output_size: sizes, " .. FOLD_KINDS)
layers.Fold = Fold

---@param x Tensor [batch, channels x window, windows]
---@return Tensor [batch, channels, height, width]
function Fold:forward(x)
  local f = fields(self)
  return fold(x, f.output_size, f.kernel_size, f.dilation, f.padding, f.stride)
end
function Fold:extra_repr() return text.fields(self, "output_size") .. ", " .. window_repr(self) end

--- Every window of an image as a column.
---@param kernel_size integer|integer[] of the window
---@param dilation integer|integer[] between the window's elements, 1
---@param padding integer|integer[] zeros on both sides, 0
---@param stride integer|integer[] between windows, 1
---@example nn.Unfold(2)(torch.ones(1, 1, 3, 3)).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.Unfold
local Unfold = layer("Unfold", "kernel_size, dilation=1, padding=0, stride=1", FOLD_KINDS)
layers.Unfold = Unfold

---@param x Tensor [batch, channels, height, width]
---@return Tensor [batch, channels x window, windows]
function Unfold:forward(x)
  local f = fields(self)
  return unfold(x, f.kernel_size, f.dilation, f.padding, f.stride)
end
Unfold.extra_repr = window_repr

return layers
