-- Mixed precision in the loops: the step under autocast, and the scaler of the losses.
local torch = require "torch"

local precision = {}

local function usage(where, message, hint) require("native.vm").raise("usage", where .. ": " .. message, hint) end

-- The type of the device that the step computes on.
local function device_type(a)
  if a.device then return torch.device(a.device).type end
  local first = a.model and a.model:parameters()[1]
  return first and first.device.type or "cpu"
end

---The step, under torch.autocast where `autocast` is true or a dtype.
---@param step function
---@param a table autocast, device, model
---@param where string "train.fit"
---@return function
function precision.step(step, a, where)
  local dtype = a.autocast
  if dtype == nil or dtype == false then return step end
  if type(dtype) == "string" then
    local ok, found = pcall(function() return torch[dtype] end)
    dtype = ok and found or dtype
  end
  if dtype ~= true and tostring(dtype):sub(1, 6) ~= "torch." then
    usage(where, ("autocast must be true or a dtype, got %s"):format(require("native.vm").describe(a.autocast)),
      "autocast = torch.bfloat16")
  end
  local kind, options = device_type(a), dtype ~= true and {dtype = dtype} or nil
  return function(state, batch)
    local _ <close> = torch.autocast(kind, options)
    local loss, parts = step(state, batch)
    return loss, parts
  end
end

---The scaler of the losses.
---@param a table scaler = nil, true or a torch.GradScaler; device, model
---@return table?
function precision.scaler(a)
  if a.scaler == nil or a.scaler == false then return nil end
  if a.scaler == true then return torch.GradScaler(device_type(a)) end
  local ok, found = pcall(function() return a.scaler.scale and a.scaler.unscale_ end)
  if not (ok and found) then
    usage("train.fit", "scaler must be true or a torch.GradScaler, got " .. require("native.vm").describe(a.scaler))
  end
  return a.scaler
end

return precision
