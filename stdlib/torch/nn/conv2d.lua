-- nn.Conv2d: convolution over images of shape (N, C, H, W) or (C, H, W).
local allocate = require "torch.nn.allocate"
local functional = require "torch.nn.functional"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local pair = require "torch.nn.pair"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, conv2d <const>, pad <const> = native.fields, functional.conv2d, functional.pad

---@class Conv2d : Module
local Conv2d = module.class("Conv2d")
local parse = require "torch.nn.typed"(
  signature("nn.Conv2d", "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, "
  .. "groups=1, bias=true, padding_mode='zeros', device=nil, dtype=nil"),
  "nn.Conv2d", "in_channels: size, out_channels: size, kernel_size: sizes, stride: sizes, padding: padding, "
  .. "dilation: sizes, groups: integer, bias: flag?, padding_mode: text")

local MODES <const> = {zeros = true, reflect = true, replicate = true, circular = true}

-- What F.pad takes, last dimension first; "same" pads the odd row at the end.
local function padding_to_both_sides(padding, kernel, dilation)
  local out = {}
  for d = 2, 1, -1 do
    local before, after
    if padding == "valid" then before, after = 0, 0
    elseif padding == "same" then
      local total = dilation[d] * (kernel[d] - 1)
      before = total // 2
      after = total - before
    else before, after = padding[d], padding[d] end
    out[#out + 1], out[#out + 2] = before, after
  end
  return out
end

local function check(in_channels, out_channels, groups, padding, stride, mode)
  if groups <= 0 then vm.raise("usage", "groups must be a positive integer") end
  if in_channels % groups ~= 0 then vm.raise("usage", "in_channels must be divisible by groups") end
  if out_channels % groups ~= 0 then vm.raise("usage", "out_channels must be divisible by groups") end
  if type(padding) == "string" then
    if padding ~= "same" and padding ~= "valid" then
      vm.raise("usage", ("Invalid padding string '%s', should be one of 'same', 'valid'"):format(padding))
    end
    if padding == "same" and (stride[1] ~= 1 or stride[2] ~= 1) then
      vm.raise("usage", "padding='same' is not supported for strided convolutions")
    end
  end
  if not MODES[mode] then
    vm.raise("usage", ("padding_mode must be one of zeros, reflect, replicate, circular, but got padding_mode='%s'")
      :format(tostring(mode)))
  end
end

---@param in_channels integer divisible by groups
---@param out_channels integer divisible by groups
---@param kernel_size integer|integer[] one number for both or {height, width}
---@param stride integer|integer[] between windows, 1
---@param padding integer|integer[]|string on both sides, or 'same' or 'valid', 0
---@param dilation integer|integer[] between the kernel's elements, 1
---@param groups integer of channels that do not mix, 1
---@param bias boolean adds a number to each output channel, true
---@param padding_mode string 'zeros', 'reflect', 'replicate' or 'circular', 'zeros'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.Conv2d(1, 8, 3, {padding = 1})(torch.ones(2, 1, 5, 5)).shape  --> torch.Size([2, 8, 5, 5])
---@source torch.nn.Conv2d
function Conv2d:__init(...)
  local in_channels, out_channels, kernel, stride, padding, dilation, groups, bias, mode, device, dtype = parse(...)
  kernel, stride, dilation = pair(kernel, "kernel_size"), pair(stride, "stride"), pair(dilation, "dilation")
  if type(padding) ~= "string" then padding = pair(padding, "padding") end
  check(in_channels, out_channels, groups, padding, stride, mode)
  self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
  self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
  self.padding_mode = mode
  if mode ~= "zeros" then self._sides = padding_to_both_sides(padding, kernel, dilation) end
  self.weight = allocate.parameter({out_channels, in_channels // groups, kernel[1], kernel[2]}, device, dtype)
  self:register_parameter("bias", bias and allocate.parameter({out_channels}, device, dtype) or nil)
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Conv2d(1, 1, 2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 4
function Conv2d:reset_parameters()
  init.kaiming_uniform_(self.weight, math.sqrt(5))
  if self.bias then
    local fan_in = init.calculate_fan_in_and_fan_out(self.weight)
    if fan_in ~= 0 then
      local bound = 1 / math.sqrt(fan_in)
      init.uniform_(self.bias, -bound, bound)
    end
  end
end

---@param x Tensor [batch, in_channels, height, width] or without batch
---@return Tensor [batch, out_channels, output height, output width]
function Conv2d:forward(x)
  local f = fields(self)
  if f._sides then
    return conv2d(pad(x, f._sides, f.padding_mode), f.weight, f.bias, f.stride, 0, f.dilation, f.groups)
  end
  return conv2d(x, f.weight, f.bias, f.stride, f.padding, f.dilation, f.groups)
end

local function is_both(list, n) return list[1] == n and list[2] == n end

function Conv2d:extra_repr()
  local out = ("%d, %d, %s"):format(self.in_channels, self.out_channels,
    text.pairs("kernel_size", self.kernel_size, "stride", self.stride))
  local padding = self.padding
  if type(padding) == "string" then out = out .. ", padding=" .. padding
  elseif not is_both(padding, 0) then out = out .. ", " .. text.pairs("padding", padding) end
  if not is_both(self.dilation, 1) then out = out .. ", " .. text.pairs("dilation", self.dilation) end
  if self.groups ~= 1 then out = out .. ", " .. text.pairs("groups", self.groups) end
  if not self.bias then out = out .. ", bias=False" end
  if self.padding_mode ~= "zeros" then out = out .. ", padding_mode=" .. self.padding_mode end
  return out
end

return Conv2d
