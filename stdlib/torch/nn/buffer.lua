-- nn.Buffer: a tensor that a module moves and saves, but does not train, when it is assigned to one of its fields.
local native = require "native.model"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local parse = signature("nn.Buffer", "data=nil, *, persistent=true")

--- Shares memory with `data`, without its history.
---@param data Tensor? an empty one, nil
---@param persistent boolean is in the state dict, true
---@return Tensor
---@example local net = nn.Identity()
--- net.mean = nn.Buffer(torch.zeros(2))
--- net:get_buffer("mean")  --> tensor([0., 0.])
---@source torch.nn.parameter.Buffer
return function(...)
  local data, persistent = parse(...)
  if data == nil then data = torch.empty(0) end
  if not torch.is_tensor(data) then
    vm.raise("usage", "nn.Buffer: argument 'data' must be a Tensor, got " .. vm.describe(data))
  end
  return native.buffer(data, persistent)
end
