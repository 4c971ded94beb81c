-- torch.amp and torch.autocast: operators that choose their dtype, as in torch/amp/autocast_mode.py.
local autocast = require "native.autocast"
local device = require "native.device"
local entered = require "torch.entered"
local native = require "native.tensor"
local signature = require "torch.signature"
local vm = require "native.vm"
local warn = require "torch.warn"

local amp = {}

--- Has this type of device autocast?
---@param device_type string
---@return boolean
amp.is_autocast_available = autocast.is_available

-- The dtype that is taken and whether autocast goes on at all.
local function choose(device_type, dtype, enabled)
  dtype = dtype or autocast.get_dtype(device_type)
  if not enabled then return dtype, false end
  local upper = device_type:upper()
  if device_type == "cuda" then
    if device.count("cuda") == 0 then
      warn("CUDA is not available or torch_xla is imported. Disabling autocast.")
      return dtype, false
    end
    if dtype == native.bfloat16 and device.cuda_properties("cuda").major < 8 then
      vm.raise("device", "Current CUDA Device does not support bfloat16. Please switch dtype to float16.")
    end
  elseif dtype ~= native.bfloat16 and dtype ~= native.float16 then
    warn(("In %s autocast, but the target dtype is not supported. Disabling autocast.\n%s Autocast only supports "
      .. "dtypes of torch.bfloat16, torch.float16 currently."):format(upper, upper))
    return dtype, false
  end
  return dtype, true
end

-- A function among the arguments is run under the mode with what follows it: autocast("cpu", {dtype = ...}, fn, x).
local function split_function(...)
  for i = 1, select("#", ...) do
    if type((select(i, ...))) == "function" then return i, select(i, ...) end
  end
end

local function enter(device_type, dtype, enabled, cache_enabled)
  if type(device_type) ~= "string" then
    vm.raise("usage", "torch.autocast: Expected `device_type` of type `str`, got: " .. vm.describe(device_type))
  end
  if not autocast.is_available(device_type) then
    vm.raise("usage", ("User specified an unsupported autocast device_type '%s'"):format(device_type))
  end
  dtype, enabled = choose(device_type, dtype, enabled)
  if cache_enabled == nil then cache_enabled = autocast.is_cache_enabled() end
  local before_enabled, before_dtype = autocast.is_enabled(device_type), autocast.get_dtype(device_type)
  local before_cache = autocast.is_cache_enabled()
  autocast.set_cache_enabled(cache_enabled)
  autocast.set_enabled(device_type, enabled)
  autocast.set_dtype(device_type, dtype)
  autocast.increment_nesting()
  return function()
    if autocast.decrement_nesting() == 0 then autocast.clear_cache() end
    autocast.set_enabled(device_type, before_enabled)
    autocast.set_dtype(device_type, before_dtype)
    autocast.set_cache_enabled(before_cache)
  end
end

-- A function that reads its arguments by `parse` and enters.
local function mode(parse)
  return function(...)
    local at = split_function(...)
    if not at then return entered(enter(parse(...))) end
    local own = table.pack(...)
    return entered(enter(parse(table.unpack(own, 1, at - 1))), select(at, ...))
  end
end

--- Operators choose their dtype, until the scope ends or while a function runs:
--- local _ <close> = torch.autocast("cpu", {dtype = torch.bfloat16})
--- local y = torch.autocast("cuda", {dtype = torch.float16}, model, x)
---@param device_type string "cuda", "cpu" ...
---@param dtype? dtype float16 on CUDA, bfloat16 on the CPU
---@param enabled? boolean true
---@param cache_enabled? boolean true: weights are cast once
---@param fn? function is called with the arguments that follow it
---@return any scope, or the results of fn
---@example local y
--- do local _ <close> = torch.amp.autocast("cpu") y = torch.mm(torch.ones(2, 2), torch.ones(2, 2)) end
--- y.dtype  --> torch.bfloat16
amp.autocast = mode(signature("torch.autocast", "device_type, dtype=nil, enabled=true, cache_enabled=nil"))

--- torch.cuda.amp.autocast, torch.cpu.amp.autocast: for one type of device.
---@param device_type string
---@param default string the dtype's name
---@return fun(enabled?: boolean, dtype?: dtype, cache_enabled?: boolean, fn?: function): any
function amp.autocast_on(device_type, default)
  local parse = signature(("torch.%s.amp.autocast"):format(device_type), "enabled=true, dtype=nil, cache_enabled=true")
  return mode(function(...)
    local enabled, dtype, cache_enabled = parse(...)
    return device_type, dtype or native[default], enabled, cache_enabled
  end)
end

-- --- torch.is_autocast_enabled and its like

--- Is autocast on for this type of device?
---@param device_type? string "cuda"
---@return boolean
function amp.is_autocast_enabled(device_type) return autocast.is_enabled(device_type or "cuda") end

--- Switches autocast for good: set_autocast_enabled("cpu", true), or for CUDA by the boolean alone.
---@param device_type string
---@param enabled boolean
function amp.set_autocast_enabled(device_type, enabled)
  if type(device_type) == "boolean" and enabled == nil then device_type, enabled = "cuda", device_type end
  autocast.set_enabled(device_type, enabled)
end

amp.get_autocast_dtype, amp.set_autocast_dtype = autocast.get_dtype, autocast.set_dtype
amp.clear_autocast_cache = autocast.clear_cache
amp.is_autocast_cache_enabled, amp.set_autocast_cache_enabled = autocast.is_cache_enabled, autocast.set_cache_enabled
amp.autocast_increment_nesting = autocast.increment_nesting
amp.autocast_decrement_nesting = autocast.decrement_nesting

-- The older names, one of each for a type of device.
for name, device_type in pairs {cpu = "cpu", ipu = "ipu", xla = "xla", gpu = "cuda"} do
  if name ~= "gpu" then
    amp["is_autocast_" .. name .. "_enabled"] = function() return autocast.is_enabled(device_type) end
    amp["set_autocast_" .. name .. "_enabled"] = function(enabled) autocast.set_enabled(device_type, enabled) end
  end
  amp["get_autocast_" .. name .. "_dtype"] = function() return autocast.get_dtype(device_type) end
  amp["set_autocast_" .. name .. "_dtype"] = function(dtype) autocast.set_dtype(device_type, dtype) end
end

return amp
