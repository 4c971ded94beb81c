-- torch.autograd.forward_ad: dual numbers, gradients in forward mode.
local named = require "torch.named"
local native = require "native.autograd"
local ops = require "native.ops"
local vm = require "native.vm"

local make_dual, unpack_dual = ops.find_any("aten::_make_dual"), ops.find_any("aten::_unpack_dual")

local forward_ad = {}
local current = -1

--- Enters a level; levels cannot be nested, so that there is one.
---@return integer level
---@example local forward = torch.autograd.forward_ad
--- forward.enter_dual_level()  --> 0
--- forward.exit_dual_level()
function forward_ad.enter_dual_level()
  local level = native.enter_dual_level()
  if level ~= current + 1 then
    native.exit_dual_level(level)
    vm.raise("usage", "Entering a new forward AD level but the current level is not valid. Make sure you did not " ..
      "modified it directly.")
  end
  current = level
  return level
end

--- Leaves the level: all tangents of it are gone.
---@param level? integer the current one
---@example local forward = torch.autograd.forward_ad
--- forward.enter_dual_level()
--- local dual = forward.make_dual(torch.zeros(1), torch.ones(1))
--- forward.exit_dual_level()
--- select(2, forward.unpack_dual(dual))  --> nil
forward_ad.exit_dual_level = named("torch.autograd.forward_ad.exit_dual_level", "*, level=nil", function(level)
  if level == nil then level = current end
  if level ~= current then
    vm.raise("usage", "Trying to exit a forward AD level that was not the last one that was created. This is not supported.")
  end
  native.exit_dual_level(level)
  current = level - 1
end)

local Level = {__name = "dual_level"}
Level.__index = Level
function Level:__close() forward_ad.exit_dual_level({level = self.level}) end

--- A level until the scope ends, `local _ <close> = forward_ad.dual_level()`, or for fn(...).
---@param fn? function
---@return any|table
---@example local forward = torch.autograd.forward_ad
--- local _ <close> = forward.dual_level()
--- local dual = forward.make_dual(torch.zeros(1), torch.ones(1))
--- forward.unpack_dual(dual:sin())  --> tensor([0.])	tensor([1.])
function forward_ad.dual_level(fn, ...)
  local scope = setmetatable({level = forward_ad.enter_dual_level()}, Level)
  if fn == nil then return scope end
  local _ <close> = scope
  local results = table.pack(fn(...))
  return table.unpack(results, 1, results.n)
end

local function check_float(tensor, what)
  if not (tensor.dtype.is_floating_point or tensor.dtype.is_complex) then
    vm.raise("dtype", ("Expected %s to be floating point or complex, but got: %s"):format(what, tostring(tensor.dtype)))
  end
end

--- The tensor with a tangent: what is computed from it carries the tangent along.
---@param tensor Tensor
---@param tangent Tensor of the same shape
---@param level? integer the current one, by name alone
---@return Tensor
---@example local forward = torch.autograd.forward_ad
--- local _ <close> = forward.dual_level()
--- local dual = forward.make_dual(torch.tensor{3.}, torch.ones(1))
--- forward.unpack_dual(dual * dual)  --> tensor([9.])	tensor([6.])
forward_ad.make_dual = named("torch.autograd.forward_ad.make_dual", "tensor, tangent, *, level=nil", function(tensor, tangent, level)
  level = level or current
  if level < 0 then
    vm.raise("usage", "Trying to create a dual Tensor for forward AD but no level exists, make sure to " ..
      "enter_dual_level() first.")
  end
  check_float(tensor, "primal")
  check_float(tangent, "tangent")
  return make_dual(tensor, tangent, level)
end)

--- The tensor, and its tangent or nil.
---@param tensor Tensor
---@return Tensor primal
---@return Tensor? tangent
---@example local forward = torch.autograd.forward_ad
--- local _ <close> = forward.dual_level()
--- local primal, tangent = forward.unpack_dual(forward.make_dual(torch.zeros(1), torch.ones(1)))
--- tangent  --> tensor([1.])
forward_ad.unpack_dual = named("torch.autograd.forward_ad.unpack_dual", "tensor, *, level=nil", function(tensor, level)
  level = level or current
  if level < 0 then return tensor, nil end
  return unpack_dual(tensor, level)
end)

return require("host.namespace")("torch.autograd.forward_ad", {held = forward_ad})
