-- Fractional maximum pooling of torch.nn, and what puts maxima back where they were.
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local per_dimension = require "torch.nn.per_dimension"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields

local layers = {}

local function unpool(dims)
  local of = functional[("max_unpool%dd"):format(dims)]
  local class, parse = layer(("MaxUnpool%dd"):format(dims), "kernel_size, stride=nil, padding=0",
    "kernel_size: sizes, stride: sizes?, padding: sizes")

  function class:__init(...)
    local kernel, stride, padding = parse(...)
    if stride == nil then stride = kernel end
    self.kernel_size, self.stride = per_dimension(kernel, dims, "kernel_size"), per_dimension(stride, dims, "stride")
    self.padding = per_dimension(padding, dims, "padding")
  end

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@param indices Tensor int64 that maximum pooling gave
  ---@param output_size integer[]? which of the possible sizes, the least
  ---@return Tensor [batch, channels, ...]
  function class:forward(x, indices, output_size)
    local f = fields(self)
    return of(x, indices, f.kernel_size, f.stride, f.padding, output_size)
  end

  function class:extra_repr()
    return text.fields(self, "kernel_size", "stride", "padding")
  end

  return class
end

--- Puts maxima back to where MaxPool1d found them, zeros elsewhere.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] that was added to the input, 0
---@example nn.MaxUnpool1d(2)(torch.tensor{{3.}}, torch.tensor{{1}})  --> tensor([[0., 3.]])
---@source torch.nn.MaxUnpool1d
layers.MaxUnpool1d = unpool(1)

--- Puts maxima back to where MaxPool2d found them, zeros elsewhere.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] that was added to the input, 0
---@example nn.MaxUnpool2d(2)(torch.tensor{{{3.}}}, torch.tensor{{{2}}}):flatten()  --> tensor([0., 0., 3., 0.])
---@source torch.nn.MaxUnpool2d
layers.MaxUnpool2d = unpool(2)

--- Puts maxima back to where MaxPool3d found them, zeros elsewhere.
---@param kernel_size integer|integer[] of the window
---@param stride integer|integer[]? between windows, kernel_size
---@param padding integer|integer[] that was added to the input, 0
---@example nn.MaxUnpool3d(2)(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1):long()).shape
--- --> torch.Size([1, 2, 2, 2])
---@source torch.nn.MaxUnpool3d
layers.MaxUnpool3d = unpool(3)

local function all_between(list, least, most)
  for _, value in ipairs(list) do
    if not (least < value and value < most) then return false end
  end
  return true
end

local function fractional(dims)
  local name = ("FractionalMaxPool%dd"):format(dims)
  local pool = functional[("fractional_max_pool%dd"):format(dims)]
  local class, parse = layer(name,
    "kernel_size, output_size=nil, output_ratio=nil, return_indices=false, _random_samples=nil",
    "kernel_size: sizes, output_size: sizes?, output_ratio: numbers?, return_indices: flag, _random_samples: tensor?")

  function class:__init(...)
    local kernel, size, ratio, indices, samples = parse(...)
    kernel = per_dimension(kernel, dims, "kernel_size")
    if dims == 3 and not all_between(kernel, 0, math.huge) then
      vm.raise("usage", "kernel_size must be greater than 0, but got " .. text.value((...)))
    end
    self.kernel_size, self.return_indices = kernel, indices
    self:register_buffer("_random_samples", samples)
    self.output_size = size and per_dimension(size, dims, "output_size") or nil
    self.output_ratio = ratio and per_dimension(ratio, dims, "output_ratio") or nil
    if size == nil and ratio == nil then
      vm.raise("usage", name .. " requires specifying either an output size, or a pooling ratio")
    end
    if size ~= nil and ratio ~= nil then
      vm.raise("usage", "only one of output_size and output_ratio may be specified")
    end
    if ratio and not all_between(self.output_ratio, 0, 1) then
      vm.raise("usage", ("output_ratio must be between 0 and 1 (got %s)"):format(text.value(ratio)))
    end
  end

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor maxima [batch, channels, ...]
  ---@return Tensor? indices int64, with return_indices
  function class:forward(x)
    local f = fields(self)
    return pool(x, f.kernel_size, f.output_size, f.output_ratio, f.return_indices, f._random_samples)
  end

  return class
end

--- Maxima of windows at random places (Graham 2014), so that the output may be any size below the input's.
---@param kernel_size integer|integer[] of the window
---@param output_size integer|integer[]? of the image, or else output_ratio, nil
---@param output_ratio number|number[]? output size over input size, between 0 and 1, nil
---@param return_indices boolean also gives where the maxima were, false
---@param _random_samples Tensor? the windows' places [batch, channels, 2], drawn at each call
---@example nn.FractionalMaxPool2d(2, {output_size = 3})(torch.ones(1, 1, 5, 5)).shape  --> torch.Size([1, 1, 3, 3])
---@source torch.nn.FractionalMaxPool2d
layers.FractionalMaxPool2d = fractional(2)

--- Maxima of windows at random places (Graham 2014), so that the output may be any size below the input's.
---@param kernel_size integer|integer[] of the window
---@param output_size integer|integer[]? of the volume, or else output_ratio, nil
---@param output_ratio number|number[]? output size over input size, between 0 and 1, nil
---@param return_indices boolean also gives where the maxima were, false
---@param _random_samples Tensor? the windows' places [batch, channels, 3], drawn at each call
---@example nn.FractionalMaxPool3d(2, {output_ratio = 0.5})(torch.ones(1, 1, 6, 6, 6)).shape
--- --> torch.Size([1, 1, 3, 3, 3])
---@source torch.nn.FractionalMaxPool3d
layers.FractionalMaxPool3d = fractional(3)

return layers
