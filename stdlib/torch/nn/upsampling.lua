-- Layers of torch.nn that make signals, images and volumes larger.
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local text = require "torch.python_text"

local fields <const>, interpolate <const> = native.fields, functional.interpolate

local layers = {}

local function as_floats(factor)
  if type(factor) ~= "table" then return factor ~= nil and factor ~= 0 and factor + 0.0 or nil end
  local list = {}
  for i, each in ipairs(factor) do list[i] = each + 0.0 end
  return list
end

--- Resizes a signal, an image or a volume.
---@param size integer|integer[]? the output's spatial size; or else scale_factor, nil
---@param scale_factor number|number[]? output size over input size, nil
---@param mode string nearest, linear, bilinear, bicubic, trilinear or nearest-exact; 'nearest'
---@param align_corners boolean? the corners' centres stay where they are, false; linear modes only
---@param recompute_scale_factor boolean? the factor is computed again from the sizes, nil
---@example nn.Upsample{scale_factor = 2}(torch.tensor{{{1., 2.}}})  --> tensor([[[1., 1., 2., 2.]]])
---@source torch.nn.Upsample
local Upsample, parse = layer("Upsample",
  "size=nil, scale_factor=nil, mode='nearest', align_corners=nil, recompute_scale_factor=nil",
  "size: sizes?, scale_factor: numbers?, mode: text, align_corners: flag?, recompute_scale_factor: flag?")
layers.Upsample = Upsample

function Upsample:__init(...)
  local size, factor, mode, align_corners, recompute = parse(...)
  self.name = native.class_of(self).__name
  self.size, self.scale_factor, self.mode = size, as_floats(factor), mode
  self.align_corners, self.recompute_scale_factor = align_corners, recompute
end

---@param x Tensor [batch, channels, ...] of one, two or three spatial dimensions
---@return Tensor [batch, channels, ...]
function Upsample:forward(x)
  local f = fields(self)
  return interpolate(x, f.size, f.scale_factor, f.mode, f.align_corners, f.recompute_scale_factor)
end

function Upsample:extra_repr()
  local first = self.scale_factor ~= nil and "scale_factor" or "size"
  return text.pairs(first, self[first]) .. ", mode=" .. text.quoted(self.mode)
end

local function of_mode(name, mode, align_corners)
  local class, parse_size = layer(name, "size=nil, scale_factor=nil", "size: sizes?, scale_factor: numbers?", Upsample)
  function class:__init(...)
    local size, factor = parse_size(...)
    Upsample.__init(self, size, factor, mode, align_corners)
  end
  return class
end

--- Resizes an image by repeating pixels.
---@param size integer|integer[]? the output's height and width; or else scale_factor, nil
---@param scale_factor number|number[]? output size over input size, nil
---@example nn.UpsamplingNearest2d{scale_factor = 2}(torch.ones(1, 1, 2, 2)).shape  --> torch.Size([1, 1, 4, 4])
---@source torch.nn.UpsamplingNearest2d
layers.UpsamplingNearest2d = of_mode("UpsamplingNearest2d", "nearest")

--- Resizes an image linearly; the corners' centres stay where they are.
---@param size integer|integer[]? the output's height and width; or else scale_factor, nil
---@param scale_factor number|number[]? output size over input size, nil
---@example nn.UpsamplingBilinear2d(3)(torch.tensor{{{{0., 2.}, {2., 4.}}}})[{0, 0, 1}]  --> tensor([1., 2., 3.])
---@source torch.nn.UpsamplingBilinear2d
layers.UpsamplingBilinear2d = of_mode("UpsamplingBilinear2d", "bilinear", true)

return layers
