-- Padding layers of torch.nn: constant, zero, reflection, replication and circular.
local catalog = require "native.ops"
local layer = require "torch.nn.layer"
local native = require "native.model"
local per_dimension = require "torch.nn.per_dimension"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, pad <const> = native.fields, catalog.find_any "aten::pad"

local layers = {}

local function padding_repr(self) return text.value(self.padding) end

-- A class of one mode that takes the padding alone.
local function of_mode(name, mode, dims, check)
  local class, parse = layer(("%sPad%dd"):format(name, dims), "padding", "padding: integers")
  function class:__init(...) self.padding = per_dimension(parse(...), 2 * dims, "padding") end
  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor larger in the last dimensions
  function class:forward(x)
    if check then check(x, dims) end
    return pad(x, fields(self).padding, mode)
  end
  class.extra_repr = padding_repr
  return class
end

local function constant(dims)
  local class, parse = layer(("ConstantPad%dd"):format(dims), "padding, value", "padding: integers, value: number")
  function class:__init(...)
    local padding, value = parse(...)
    self.padding, self.value = per_dimension(padding, 2 * dims, "padding"), value
  end
  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor larger in the last dimensions
  function class:forward(x)
    local f = fields(self)
    return pad(x, f.padding, "constant", f.value)
  end
  function class:extra_repr() return text.fields(self, "padding", "value") end
  return class
end

local function zero(dims, base)
  local class, parse = layer(("ZeroPad%dd"):format(dims), "padding", "padding: integers", base)
  function class:__init(...) base.__init(self, parse(...), 0.0) end
  class.extra_repr = padding_repr
  return class
end

local function check_circular(x, dims)
  local given = x:dim()
  if given ~= dims + 1 and given ~= dims + 2 then
    vm.raise("shape", ("expected %dD or %dD input (got %dD input)"):format(dims + 1, dims + 2, given))
  end
end

--- A constant on both sides of a signal.
---@param padding integer|integer[] one number or {left, right}; a negative one takes off
---@param value number
---@example nn.ConstantPad1d(1, 9)(torch.ones(1, 2))  --> tensor([[9., 1., 1., 9.]])
---@source torch.nn.ConstantPad1d
layers.ConstantPad1d = constant(1)

--- A constant around an image.
---@param padding integer|integer[] one number or {left, right, top, bottom}; a negative one takes off
---@param value number
---@example nn.ConstantPad2d({1, 1, 0, 0}, 9)(torch.ones(1, 1, 2))  --> tensor([[[9., 1., 1., 9.]]])
---@source torch.nn.ConstantPad2d
layers.ConstantPad2d = constant(2)

--- A constant around a volume.
---@param padding integer|integer[] one number or {left, right, top, bottom, front, back}; a negative one takes off
---@param value number
---@example nn.ConstantPad3d(1, 9)(torch.ones(1, 2, 2, 2)).shape  --> torch.Size([1, 4, 4, 4])
---@source torch.nn.ConstantPad3d
layers.ConstantPad3d = constant(3)

--- Zeros on both sides of a signal.
---@param padding integer|integer[] one number or {left, right}; a negative one takes off
---@example nn.ZeroPad1d({2, 0})(torch.ones(1, 2))  --> tensor([[0., 0., 1., 1.]])
---@source torch.nn.ZeroPad1d
layers.ZeroPad1d = zero(1, layers.ConstantPad1d)

--- Zeros around an image.
---@param padding integer|integer[] one number or {left, right, top, bottom}; a negative one takes off
---@example nn.ZeroPad2d(1)(torch.ones(1, 2, 2)).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.ZeroPad2d
layers.ZeroPad2d = zero(2, layers.ConstantPad2d)

--- Zeros around a volume.
---@param padding integer|integer[] one number or {left, right, top, bottom, front, back}; a negative one takes off
---@example nn.ZeroPad3d(1)(torch.ones(1, 2, 2, 2)).shape  --> torch.Size([1, 4, 4, 4])
---@source torch.nn.ZeroPad3d
layers.ZeroPad3d = zero(3, layers.ConstantPad3d)

--- The signal mirrored at its ends.
---@param padding integer|integer[] one number or {left, right}
---@example nn.ReflectionPad1d(2)(torch.tensor{{1., 2., 3.}})  --> tensor([[3., 2., 1., 2., 3., 2., 1.]])
---@source torch.nn.ReflectionPad1d
layers.ReflectionPad1d = of_mode("Reflection", "reflect", 1)

--- The image mirrored at its borders.
---@param padding integer|integer[] one number or {left, right, top, bottom}
---@example nn.ReflectionPad2d(1)(torch.ones(1, 2, 2)).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.ReflectionPad2d
layers.ReflectionPad2d = of_mode("Reflection", "reflect", 2)

--- The volume mirrored at its borders.
---@param padding integer|integer[] one number or {left, right, top, bottom, front, back}
---@example nn.ReflectionPad3d(1)(torch.ones(1, 2, 2, 2)).shape  --> torch.Size([1, 4, 4, 4])
---@source torch.nn.ReflectionPad3d
layers.ReflectionPad3d = of_mode("Reflection", "reflect", 3)

--- The signal's ends repeated.
---@param padding integer|integer[] one number or {left, right}
---@example nn.ReplicationPad1d(1)(torch.tensor{{1., 2.}})  --> tensor([[1., 1., 2., 2.]])
---@source torch.nn.ReplicationPad1d
layers.ReplicationPad1d = of_mode("Replication", "replicate", 1)

--- The image's borders repeated.
---@param padding integer|integer[] one number or {left, right, top, bottom}
---@example nn.ReplicationPad2d(1)(torch.ones(1, 2, 2)).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.ReplicationPad2d
layers.ReplicationPad2d = of_mode("Replication", "replicate", 2)

--- The volume's borders repeated.
---@param padding integer|integer[] one number or {left, right, top, bottom, front, back}
---@example nn.ReplicationPad3d(1)(torch.ones(1, 2, 2, 2)).shape  --> torch.Size([1, 4, 4, 4])
---@source torch.nn.ReplicationPad3d
layers.ReplicationPad3d = of_mode("Replication", "replicate", 3)

--- The signal continued by its other end.
---@param padding integer|integer[] one number or {left, right}
---@example nn.CircularPad1d(1)(torch.tensor{{1., 2., 3.}})  --> tensor([[3., 1., 2., 3., 1.]])
---@source torch.nn.CircularPad1d
layers.CircularPad1d = of_mode("Circular", "circular", 1, check_circular)

--- The image continued by its other side.
---@param padding integer|integer[] one number or {left, right, top, bottom}
---@example nn.CircularPad2d(1)(torch.ones(1, 2, 2)).shape  --> torch.Size([1, 4, 4])
---@source torch.nn.CircularPad2d
layers.CircularPad2d = of_mode("Circular", "circular", 2, check_circular)

--- The volume continued by its other side.
---@param padding integer|integer[] one number or {left, right, top, bottom, front, back}
---@example nn.CircularPad3d(1)(torch.ones(1, 2, 2, 2)).shape  --> torch.Size([1, 4, 4, 4])
---@source torch.nn.CircularPad3d
layers.CircularPad3d = of_mode("Circular", "circular", 3, check_circular)

return layers
