-- torch.cuda.amp and torch.cpu.amp: what torch.amp has for one type of device, by its older names.
local amp = require "torch.amp"
local device = require "native.device"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.tensor"

--- The namespace of a type of device.
---@param device_type string
---@param default string the dtype's name
---@return table
return function(device_type, default)
  local path <const> = ("torch.%s.amp"):format(device_type)
  local space = {
    --- torch.amp.autocast for one type of device.
    ---@param enabled? boolean true
    ---@param dtype? dtype float16 on CUDA, bfloat16 on the CPU
    ---@param cache_enabled? boolean true
    ---@param fn? function is called with the arguments that follow it
    ---@return any scope, or the results of fn
    ---@example torch.cpu.amp.autocast(torch.mm, torch.ones(2, 2), torch.ones(2, 2)).dtype  --> torch.bfloat16
    autocast = mode(path .. ".autocast", "enabled=true, dtype=nil, cache_enabled=true", function(enabled, dtype, cache)
      return amp.autocast(device_type, {dtype = dtype or native[default], enabled = enabled, cache_enabled = cache})
    end),
    --- torch.amp.GradScaler for one type of device.
    ---@return GradScaler
    ---@example torch.cpu.amp.GradScaler():get_scale()  --> 65536.0
    GradScaler = function(...) return require("torch.grad_scaler").on(device_type)(...) end,
  }
  if device_type == "cuda" then
    --- Is there no GPU?
    ---@return boolean
    function space.amp_definitely_not_available() return device.count("cuda") == 0 end
    space.custom_fwd = named(path .. ".custom_fwd", "fwd=nil, *, device_type='cuda', cast_inputs=nil",
      function(fwd, kind, dtype) return amp.custom_fwd(fwd, {device_type = kind, cast_inputs = dtype}) end)
    space.custom_bwd = named(path .. ".custom_bwd", "bwd=nil, *, device_type='cuda'",
      function(bwd, kind) return amp.custom_bwd(bwd, {device_type = kind}) end)
  end
  return require("host.namespace")(path, {held = space})
end
