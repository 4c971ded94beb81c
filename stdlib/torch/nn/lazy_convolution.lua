-- Convolutions of torch.nn that learn their number of input channels from the first batch.
local convolution = require "torch.nn.convolution"
local lazy = require "torch.nn.lazy"
local transposed = require "torch.nn.transposed_convolution"
local uninitialized = require "torch.nn.uninitialized"
local vm = require "native.vm"

local layers = {}

local SPEC <const> = "out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=true, "
  .. "padding_mode='zeros', device=nil, dtype=nil"
local TRANSPOSED <const> = "out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=true, "
  .. "dilation=1, padding_mode='zeros', device=nil, dtype=nil"
local KINDS <const> = "out_channels: size, kernel_size: sizes"

local function in_channels_of(self, x, name, dims)
  local given = x:dim()
  if given ~= dims + 1 and given ~= dims + 2 then
    vm.raise("shape", ("Expected %dD (unbatched) or %dD (batched) input to %s, but got input of size: %s"):format(dims + 1,
      dims + 2, name, x.shape))
  end
  local channels = x:size(given == dims + 2 and 1 or 0)
  if channels % self.groups ~= 0 then vm.raise("usage", "in_channels must be divisible by groups") end
  return channels
end

local function of_dims(dims, is_transposed)
  local base = is_transposed and transposed[("ConvTranspose%dd"):format(dims)] or convolution[("Conv%dd"):format(dims)]
  local name = "Lazy" .. base.__name
  local class, parse = lazy.over(name, base, is_transposed and TRANSPOSED or SPEC, KINDS, "in_channels")

  function class:__init(...)
    local out_channels, kernel, stride, padding, fifth, groups, bias, eighth, ninth, tenth, eleventh = parse(...)
    local device, dtype = ninth, tenth
    if is_transposed then
      device, dtype = tenth, eleventh
      base.__init(self, 0, 0, kernel, stride, padding, fifth, groups, false, eighth, ninth, device, dtype)
    else
      base.__init(self, 0, 0, kernel, stride, padding, fifth, groups, false, eighth, device, dtype)
    end
    lazy.LazyModuleMixin.__init(self)
    self.weight = uninitialized.UninitializedParameter(true, device, dtype)
    self.out_channels = out_channels
    if bias then self.bias = uninitialized.UninitializedParameter(true, device, dtype) end
  end

  --- Gives the parameters the shape for this input.
  ---@param x Tensor [batch, channels, ...] or without batch
  ---@example local layer = nn.LazyConv1d(2, 3)
  --- layer:initialize_parameters(torch.ones(4, 5, 6))
  --- layer.weight.shape  --> torch.Size([2, 5, 3])
  function class:initialize_parameters(x)
    if not self:has_uninitialized_params() then return end
    self.in_channels = in_channels_of(self, x, name, dims)
    local first, second = self.out_channels, self.in_channels
    if is_transposed then first, second = second, first end
    self.weight:materialize{first, second // self.groups, table.unpack(self.kernel_size)}
    if self.bias then self.bias:materialize{self.out_channels} end
    self:reset_parameters()
  end

  return class
end

--- A convolution over signals that learns `in_channels` from its first input, and is a Conv1d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[]|string 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConv1d(2, 3)
--- layer(torch.ones(4, 5, 6))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConv1d
layers.LazyConv1d = of_dims(1, false)

--- A convolution over images that learns `in_channels` from its first input, and is a Conv2d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[]|string 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConv2d(2, 3)
--- layer(torch.ones(4, 5, 6, 6))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConv2d
layers.LazyConv2d = of_dims(2, false)

--- A convolution over volumes that learns `in_channels` from its first input, and is a Conv3d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[]|string 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConv3d(2, 3)
--- layer(torch.ones(4, 5, 3, 3, 3))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConv3d
layers.LazyConv3d = of_dims(3, false)

--- A transposed convolution over signals that learns `in_channels` from its first input, and is a ConvTranspose1d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[] 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConvTranspose1d(2, 3)
--- layer(torch.ones(4, 5, 6))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConvTranspose1d
layers.LazyConvTranspose1d = of_dims(1, true)

--- A transposed convolution over images that learns `in_channels` from its first input, and is a ConvTranspose2d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[] 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConvTranspose2d(2, 3)
--- layer(torch.ones(4, 5, 6, 6))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConvTranspose2d
layers.LazyConvTranspose2d = of_dims(2, true)

--- A transposed convolution over volumes that learns `in_channels` from its first input, and is a ConvTranspose3d from then on.
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] 1
---@param padding integer|integer[] 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.LazyConvTranspose3d(2, 3)
--- layer(torch.ones(4, 5, 3, 3, 3))
--- layer.in_channels  --> 5
---@source torch.nn.LazyConvTranspose3d
layers.LazyConvTranspose3d = of_dims(3, true)

return layers
