-- Transposed convolutions of torch.nn: the gradients of convolutions for their inputs, as layers.
local base = require "torch.nn.convolution_base"
local catalog = require "native.ops"
local layer = require "torch.nn.layer"
local native = require "native.model"
local signature = require "torch.signature"
local vm = require "native.vm"

local fields <const> = native.fields
local parse_call = signature("ConvTranspose.forward", "input, output_size=nil")

local layers = {}

local SPEC <const> = "in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=true, "
  .. "dilation=1, padding_mode='zeros', device=nil, dtype=nil"
local KINDS <const> = "in_channels: size, out_channels: size, kernel_size: sizes, stride: sizes, padding: sizes, "
  .. "output_padding: sizes, groups: integer, bias: flag?, dilation: sizes, padding_mode: text"

local function listed(values) return "[" .. table.concat(values, ", ") .. "]" end

-- The output padding that makes the output as large as asked for.
local function padding_for(f, x, size, dims)
  local spatial = x:dim() == dims + 2 and 2 or 1
  if #size == spatial + dims then size = table.move(size, spatial + 1, #size, 1, {}) end
  if #size ~= dims then
    vm.raise("usage", ("ConvTranspose%dD: for %dD input, output_size must have %d or %d elements (got %d)"):format(dims,
      x:dim(), dims, spatial + dims, #size))
  end
  local least, most, padding, fits = {}, {}, {}, true
  for d = 1, dims do
    least[d] = (x:size(d - 1 + spatial) - 1) * f.stride[d] - 2 * f.padding[d] + f.dilation[d] * (f.kernel_size[d] - 1) + 1
    most[d] = least[d] + f.stride[d] - 1
    padding[d] = size[d] - least[d]
    fits = fits and size[d] >= least[d] and size[d] <= most[d]
  end
  if not fits then
    vm.raise("usage", ("requested an output size of %s, but valid sizes range from %s to %s (for an input of %s)"):format(
      listed(size), listed(least), listed(most), "torch.Size(" .. listed(table.move(x.shape, 3, x:dim(), 1, {})) .. ")"))
  end
  return padding
end

local function transposed(dims)
  local name = ("ConvTranspose%dd"):format(dims)
  local of = catalog.find_any("aten::conv_transpose" .. dims .. "d")
  local class, parse = layer(name, SPEC, KINDS)
  for key, method in pairs(base.methods) do class[key] = method end

  function class:__init(...)
    local in_channels, out_channels, kernel, stride, padding, output_padding, groups, bias, dilation, mode, device, dtype =
      parse(...)
    if mode ~= "zeros" then
      vm.raise("usage", ('Only "zeros" padding mode is supported for %s'):format(native.class_of(self).__name))
    end
    base.fill(self, dims, {in_channels = in_channels, out_channels = out_channels, kernel_size = kernel, stride = stride,
      padding = padding, dilation = dilation, output_padding = output_padding, groups = groups, bias = bias,
      padding_mode = mode, device = device, dtype = dtype}, true)
  end

  ---@param x Tensor [batch, in_channels, ...] or without batch
  ---@param output_size integer[]? which of the sizes that a stride allows, the one that output_padding gives
  ---@return Tensor [batch, out_channels, ...]
  function class:forward(x, output_size, ...)
    if type(output_size) == "table" and output_size[1] == nil or ... then x, output_size = parse_call(x, output_size, ...) end
    local f = fields(self)
    local padding = output_size and padding_for(f, x, output_size, dims) or f.output_padding
    return of(x, f.weight, f.bias, f.stride, f.padding, padding, f.groups, f.dilation)
  end

  return class
end

--- Transposed convolution over signals of shape [batch, channels, length].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[]
---@param stride integer|integer[] of the convolution that it transposes, 1
---@param padding integer|integer[] taken off both sides of the output, 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.ConvTranspose1d(1, 2, 3, {stride = 2})(torch.ones(1, 1, 4)).shape  --> torch.Size([1, 2, 9])
---@source torch.nn.ConvTranspose1d
layers.ConvTranspose1d = transposed(1)

--- Transposed convolution over images of shape [batch, channels, height, width].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[] one number for both or {height, width}
---@param stride integer|integer[] of the convolution that it transposes, 1
---@param padding integer|integer[] taken off both sides of the output, 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.ConvTranspose2d(1, 2, 3, {stride = 2})(torch.ones(1, 1, 4, 4), {10, 10}).shape
--- --> torch.Size([1, 2, 10, 10])
---@source torch.nn.ConvTranspose2d
layers.ConvTranspose2d = transposed(2)

--- Transposed convolution over volumes of shape [batch, channels, depth, height, width].
---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[] one number for all or {depth, height, width}
---@param stride integer|integer[] of the convolution that it transposes, 1
---@param padding integer|integer[] taken off both sides of the output, 0
---@param output_padding integer|integer[] added to one side of the output, 0
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param dilation integer|integer[] between the kernel's elements, 1
---@param padding_mode string 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.ConvTranspose3d(1, 2, 2)(torch.ones(1, 1, 2, 2, 2)).shape  --> torch.Size([1, 2, 3, 3, 3])
---@source torch.nn.ConvTranspose3d
layers.ConvTranspose3d = transposed(3)

return layers
