-- Functions of torch that set or tell something of the whole process: determinism, precision, what was built in.
local context = require "native.context"
local named = require "torch.named"
local native = require "native.tensor"
local vm = require "native.vm"

local process = {
  has_mkl = context.has "mkl", has_mkldnn = context.has "mkldnn", has_openmp = context.has "openmp",
  has_lapack = context.has "lapack", has_spectral = true,
}

--- Operators that are not deterministic choose a way that is, or raise where there is none.
---@param mode boolean
---@param warn_only? boolean false: warn instead
---@example torch.use_deterministic_algorithms(true)
--- torch.are_deterministic_algorithms_enabled()  --> true
--- torch.use_deterministic_algorithms(false)
process.use_deterministic_algorithms = named("torch.use_deterministic_algorithms", "mode, warn_only=false",
  context.set_deterministic)

---@return boolean
---@example torch.are_deterministic_algorithms_enabled()  --> false
function process.are_deterministic_algorithms_enabled() return (context.deterministic()) end

---@return boolean
---@example torch.use_deterministic_algorithms(true, {warn_only = true})
--- torch.is_deterministic_algorithms_warn_only_enabled()  --> true
--- torch.use_deterministic_algorithms(false)
function process.is_deterministic_algorithms_warn_only_enabled() return (select(2, context.deterministic())) end

local DEBUG_MODES <const> = {default = 0, warn = 1, error = 2}

--- use_deterministic_algorithms by a word or number: "default" 0, "warn" 1, "error" 2.
---@param debug_mode string|integer
---@example torch.set_deterministic_debug_mode("warn")
--- torch.get_deterministic_debug_mode()  --> 1
--- torch.set_deterministic_debug_mode("default")
process.set_deterministic_debug_mode = named("torch.set_deterministic_debug_mode", "debug_mode", function(debug_mode)
  local mode = debug_mode
  if type(mode) == "string" then
    mode = DEBUG_MODES[mode]
    if not mode then
      vm.raise("usage", "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got " .. debug_mode)
    end
  elseif type(mode) ~= "number" then
    vm.raise("usage", "debug_mode must be str or int, but got " .. vm.describe(debug_mode))
  end
  if mode ~= 0 and mode ~= 1 and mode ~= 2 then
    vm.raise("usage", "invalid value of debug_mode, expected 0, 1, or 2, but got " .. tostring(mode))
  end
  context.set_deterministic(mode ~= 0, mode == 1)
end)

---@return integer 0, 1 or 2
---@example torch.get_deterministic_debug_mode()  --> 0
function process.get_deterministic_debug_mode()
  local mode, warn_only = context.deterministic()
  return not mode and 0 or warn_only and 1 or 2
end

--- How exact float32 matrix products are: "highest", "high" (TF32) or "medium" (bfloat16).
---@example torch.set_float32_matmul_precision("high")
--- torch.get_float32_matmul_precision()  --> high
--- torch.set_float32_matmul_precision("highest")
process.set_float32_matmul_precision = context.set_matmul_precision
---@return string
---@example torch.get_float32_matmul_precision()  --> highest
process.get_float32_matmul_precision = context.matmul_precision

process.set_flush_denormal = context.set_flush_denormal

--- Are warnings of LibTorch shown each time, and not once for each line of the script?
---@return boolean
---@example torch.is_warn_always_enabled()  --> false
process.is_warn_always_enabled = context.warn_always
process.set_warn_always = context.set_warn_always

---@return boolean
---@example torch.compiled_with_cxx11_abi()  --> true
function process.compiled_with_cxx11_abi() return true end

--- The module of a type of device: torch.cuda, torch.cpu ...
---@param device? string|device the accelerator
---@return table
---@example torch.get_device_module("cpu") == torch.cpu  --> true
process.get_device_module = named("torch.get_device_module", "device=nil", function(device)
  local torch = require "torch"
  local name = device
  if name == nil then
    local accelerator = torch.accelerator.current_accelerator()
    name = accelerator and accelerator.type or "cpu"
  elseif type(name) == "userdata" or type(name) == "string" then
    name = native.device(device).type
  end
  local ok, module = pcall(function() return torch[name] end)
  if not ok or type(module) ~= "table" then
    vm.raise("usage", ("Device '%s' does not have a corresponding module registered as 'torch.%s'."):format(
      tostring(device), tostring(name)))
  end
  return module
end)

return process
