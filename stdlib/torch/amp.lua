-- torch.amp and torch.autocast: operators that choose their dtype, as in torch/amp/autocast_mode.py.
local autocast = require "native.autocast"
local device = require "native.device"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.tensor"
local vm = require "native.vm"
local warn = require "torch.warn"
local is_tensor <const> = native.is_tensor

local amp = {}

--- Has this type of device autocast?
---@param device_type string
---@return boolean
---@example torch.amp.is_autocast_available("cpu")  --> true
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

--- Operators choose their dtype, until the scope ends or while a function runs:
--- local _ <close> = torch.autocast("cpu", {dtype = torch.bfloat16})
--- local y = torch.autocast("cuda", {dtype = torch.float16}, model, x)
--- Net.forward = torch.autocast("cuda")(Net.forward)
---@param device_type string "cuda", "cpu" ...
---@param dtype? dtype float16 on CUDA, bfloat16 on the CPU
---@param enabled? boolean true
---@param cache_enabled? boolean true: weights are cast once
---@param fn? function is called with the arguments that follow it
---@return any scope, or the results of fn
---@example local y
--- do local _ <close> = torch.amp.autocast("cpu") y = torch.mm(torch.ones(2, 2), torch.ones(2, 2)) end
--- y.dtype  --> torch.bfloat16
amp.autocast = mode("torch.autocast", "device_type, dtype=nil, enabled=true, cache_enabled=nil", enter)

-- --- Functions of one's own

local function check_type(device_type)
  if type(device_type) ~= "string" then
    vm.raise("usage", "Expected `device_type` of type `str`, got: `" .. vm.describe(device_type) .. "`")
  end
end

-- Floating point tensors, in tables too, as another dtype; those of float64 and of other devices stay.
local function cast(value, device_type, dtype)
  if is_tensor(value) then
    local takes = value.dtype.is_floating_point and value.device.type == device_type and value.dtype ~= native.float64
    return takes and value:to(dtype) or value
  end
  if type(value) ~= "table" or getmetatable(value) ~= nil then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = cast(each, device_type, dtype) end
  return copy
end

local function wrap_forward(fwd, device_type, cast_inputs)
  return function(ctx, ...)
    local enabled = autocast.is_enabled(device_type)
    ctx._dtype, ctx._fwd_used_autocast = autocast.get_dtype(device_type), cast_inputs == nil and enabled
    if cast_inputs == nil or not enabled then return fwd(ctx, ...) end
    local arguments = table.pack(...)
    for i = 1, arguments.n do arguments[i] = cast(arguments[i], device_type, cast_inputs) end
    return amp.autocast(device_type, {enabled = false}, fwd, ctx, table.unpack(arguments, 1, arguments.n))
  end
end

local function wrap_backward(bwd, device_type)
  return function(ctx, ...)
    return amp.autocast(device_type, {enabled = ctx._fwd_used_autocast, dtype = ctx._dtype}, bwd, ctx, ...)
  end
end

--- The forward of an autograd.Function under autocast: Mine.forward = torch.amp.custom_fwd(forward, {device_type =
--- "cuda"}). Where cast_inputs is given and autocast is on, floating point tensors come in that dtype and forward runs
--- without autocast.
---@param fwd? function nil: a function that takes it is returned
---@param device_type string by name alone
---@param cast_inputs? dtype by name alone
---@return function
---@example local Product = torch.autograd.Function("Product")
--- local in_float32 = torch.amp.custom_fwd({device_type = "cpu", cast_inputs = torch.float32})
--- Product.forward = in_float32(function(ctx, a, b) return torch.mm(a, b) end)
--- local x = torch.ones(2, 2, {dtype = torch.bfloat16})
--- torch.autocast("cpu", Product.apply, x, x).dtype  --> torch.float32
amp.custom_fwd = named("torch.amp.custom_fwd", "fwd=nil, *, device_type=nil, cast_inputs=nil", function(fwd, kind, dtype)
  check_type(kind)
  if fwd == nil then return function(given) return wrap_forward(given, kind, dtype) end end
  return wrap_forward(fwd, kind, dtype)
end)

--- The backward of an autograd.Function: it runs with the autocast of its forward.
---@param bwd? function nil: a function that takes it is returned
---@param device_type string by name alone
---@return function
---@example local Square = torch.autograd.Function("Square")
--- Square.forward = torch.amp.custom_fwd(function(ctx, x)
---   ctx:save_for_backward(x)
---   return x * x
--- end, {device_type = "cpu"})
--- Square.backward = torch.amp.custom_bwd(function(ctx, grad)
---   return 2 * ctx.saved_tensors[1] * grad
--- end, {device_type = "cpu"})
--- local x = torch.tensor({3.}, {requires_grad = true})
--- torch.autocast("cpu", Square.apply, x):backward()
--- x.grad  --> tensor([6.])
amp.custom_bwd = named("torch.amp.custom_bwd", "bwd=nil, *, device_type=nil", function(bwd, kind)
  check_type(kind)
  if bwd == nil then return function(given) return wrap_backward(given, kind) end end
  return wrap_backward(bwd, kind)
end)

-- --- torch.is_autocast_enabled and its like

--- Is autocast on for this type of device?
---@param device_type? string "cuda"
---@return boolean
---@example torch.amp.autocast("cpu", torch.is_autocast_enabled, "cpu")  --> true
function amp.is_autocast_enabled(device_type) return autocast.is_enabled(device_type or "cuda") end

--- Switches autocast for good: set_autocast_enabled("cpu", true), or for CUDA by the boolean alone.
---@param device_type string
---@param enabled boolean
---@example torch.set_autocast_enabled("cpu", true)
--- torch.is_autocast_enabled("cpu")  --> true
--- torch.set_autocast_enabled("cpu", false)
function amp.set_autocast_enabled(device_type, enabled)
  if type(device_type) == "boolean" and enabled == nil then device_type, enabled = "cuda", device_type end
  autocast.set_enabled(device_type, enabled)
end

--- The dtype that autocast converts to on a type of device.
---@param device_type string
---@return dtype
---@example torch.get_autocast_dtype("cpu")  --> torch.bfloat16
amp.get_autocast_dtype = autocast.get_dtype
--- Sets the dtype that autocast converts to on a type of device.
---@param device_type string
---@param dtype dtype
---@example torch.set_autocast_dtype("cpu", torch.float16)
--- torch.get_autocast_dtype("cpu")  --> torch.float16
--- torch.set_autocast_dtype("cpu", torch.bfloat16)
amp.set_autocast_dtype = autocast.set_dtype
--- Forgets the weights that autocast has converted.
---@example torch.clear_autocast_cache()
amp.clear_autocast_cache = autocast.clear_cache
--- Whether autocast keeps the weights that it has converted.
---@return boolean
---@example torch.is_autocast_cache_enabled()  --> true
amp.is_autocast_cache_enabled = autocast.is_cache_enabled
--- Sets whether autocast keeps the weights that it has converted.
---@param enabled boolean
---@example torch.set_autocast_cache_enabled(false)
--- torch.is_autocast_cache_enabled()  --> false
--- torch.set_autocast_cache_enabled(true)
amp.set_autocast_cache_enabled = autocast.set_cache_enabled
--- Enters one more level of autocast; returns how many there are.
---@return integer
---@example torch.autocast_increment_nesting()  --> 1
--- torch.autocast_decrement_nesting()  --> 0
amp.autocast_increment_nesting = autocast.increment_nesting
--- Leaves one level of autocast; returns how many are left.
---@return integer
---@example torch.autocast_increment_nesting()
--- torch.autocast_decrement_nesting()  --> 0
amp.autocast_decrement_nesting = autocast.decrement_nesting

-- The older names, one of each for a type of device.
for name, device_type in pairs {cpu = "cpu", ipu = "ipu", xla = "xla", gpu = "cuda"} do
  if name ~= "gpu" then
    --- Whether autocast is on there: the older name of torch.is_autocast_enabled.
    ---@return boolean
    ---@example torch.is_autocast_cpu_enabled()  --> false
    amp["is_autocast_" .. name .. "_enabled"] = function() return autocast.is_enabled(device_type) end
    --- Switches autocast there: the older name of torch.set_autocast_enabled.
    ---@param enabled boolean
    ---@example torch.set_autocast_cpu_enabled(true)
    --- torch.is_autocast_enabled("cpu")  --> true
    --- torch.set_autocast_cpu_enabled(false)
    amp["set_autocast_" .. name .. "_enabled"] = function(enabled) autocast.set_enabled(device_type, enabled) end
  end
  --- The dtype that autocast converts to there: the older name of torch.get_autocast_dtype.
  ---@return dtype
  ---@example torch.get_autocast_cpu_dtype()  --> torch.bfloat16
  amp["get_autocast_" .. name .. "_dtype"] = function() return autocast.get_dtype(device_type) end
  --- Sets the dtype that autocast converts to there: the older name of torch.set_autocast_dtype.
  ---@param dtype dtype
  ---@example torch.set_autocast_cpu_dtype(torch.float16)
  --- torch.get_autocast_dtype("cpu")  --> torch.float16
  --- torch.set_autocast_cpu_dtype(torch.bfloat16)
  amp["set_autocast_" .. name .. "_dtype"] = function(dtype) autocast.set_dtype(device_type, dtype) end
end

return require("host.namespace")("torch.amp", {
  held = amp, files = {["torch.grad_scaler"] = "GradScaler"},
})
