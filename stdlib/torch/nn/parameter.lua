-- nn.Parameter: a tensor that a module trains when it is assigned to one of its fields.
local native = require "native.model"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local parse = signature("nn.Parameter", "data=nil, requires_grad=true")

--- Shares memory with `data`, without its history.
---@param data Tensor? an empty one, nil
---@param requires_grad boolean gradients are kept for it, true
---@return Tensor
---@example nn.Parameter(torch.ones(2)).requires_grad  --> true
---@source torch.nn.Parameter
return function(...)
  local data, requires_grad = parse(...)
  if data == nil then data = torch.empty(0) end
  if not torch.is_tensor(data) then
    vm.raise("usage", "nn.Parameter: argument 'data' must be a Tensor, got " .. vm.describe(data))
  end
  return native.parameter(data, requires_grad)
end
