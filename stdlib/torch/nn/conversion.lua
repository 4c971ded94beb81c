-- What moves or converts all parameters and buffers of a module, and what is done to all gradients.
local autograd = require "native.autograd"
local native = require "native.model"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local methods = {}
local is_lazy <const> = native.is_uninitialized

-- own.data = fn(own); false where a tensor of another kind is needed.
local function convert(own, fn)
  local waits = is_lazy(own)
  local made = fn(own)
  if made == own then return true end
  if not native.set_data(own, made) then return false, made end
  if waits then native.set_uninitialized(own) end
  return true
end

local function convert_parameter(self, name, parameter, fn)
  local grad = parameter.grad
  local done, made = convert(parameter, fn)
  local into = parameter
  if not done then
    into = native.parameter(made, parameter.requires_grad)
    self[name] = into
  end
  if not grad then return end
  local grad_done, grad_made = convert(grad, fn)
  if not grad_done then grad = grad_made:requires_grad_(grad.requires_grad) end
  into.grad = grad
end

--- Replaces each parameter, gradient and buffer by fn(it): everything below that moves or converts does it by this.
--- They stay the same tensors for those that hold them, so what is shared stays shared.
---@param fn fun(tensor: Tensor): Tensor
---@param recurse boolean? of all below too, true
---@return Module self
function methods:_apply(fn, recurse)
  if recurse ~= false then
    for _, child in ipairs(self:children()) do child:_apply(fn) end
  end
  local _ <close> = autograd.no_grad()
  local names, parameters = native.parameters(self, false)
  for i, parameter in ipairs(parameters) do convert_parameter(self, names[i], parameter, fn) end
  local buffer_names, buffers = native.buffers(self, false)
  for i, buffer in ipairs(buffers) do
    local done, made = convert(buffer, fn)
    if not done then self[buffer_names[i]] = made end
  end
  return self
end

local apply <const> = methods._apply

-- What _apply does with `fn`, which converts to these: at once where each module has the _apply from above.
local function convert_all(self, device, dtype, complex, non_blocking, format, fn)
  local ok, done = pcall(native.convert_tree, self, apply, device, dtype, complex, non_blocking, format)
  if ok and done then return self end
  return self:_apply(fn)  -- what is converted stays as it is, and what failed says so here
end

local parse_to = signature("Module.to", "device=nil, dtype=nil, non_blocking=false, *, memory_format=nil")
local parse_dtype = signature("Module.to", "dtype=nil, non_blocking=false, *, memory_format=nil")
local parse_tensor = signature("Module.to", "tensor=nil, non_blocking=false, *, memory_format=nil")

-- Python's three forms: device, dtype, ... | dtype, ... | tensor, ...
local function read(first, ...)
  if native.is_dtype(first) then
    local dtype, non_blocking, format = parse_dtype(first, ...)
    return nil, dtype, non_blocking, format
  end
  local named = type(first) == "table" and select("#", ...) == 0 and rawget(first, "tensor") ~= nil
  if torch.is_tensor(first) or named then
    local tensor, non_blocking, format = parse_tensor(first, ...)
    return tensor.device, tensor.dtype, non_blocking, format
  end
  return parse_to(first, ...)
end

local NO_DATA <const> = "Cannot copy out of meta tensor; no data!"

--- Converts parameters, gradients and buffers in place: to(device), to(dtype), to(device, dtype), to(tensor),
--- to{memory_format = ...}. The dtype is of floating point and complex tensors alone.
---@param device any where to, where they are
---@param dtype dtype? theirs
---@param non_blocking boolean does not wait for the copies, false
---@param memory_format memory_format? of tensors of 4 and 5 dimensions, theirs
---@return Module self
---@example nn.Linear(2, 1):to(torch.float64).bias.dtype  --> torch.float64
function methods:to(...)
  local device, dtype, non_blocking, format = read(...)
  if dtype ~= nil then
    if not native.is_dtype(dtype) then
      vm.raise("usage", "Module.to: argument 'dtype' must be a dtype, got " .. vm.describe(dtype))
    end
    if not dtype.is_floating_point and not dtype.is_complex then
      vm.raise("usage", "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype="
        .. tostring(dtype))
    end
    if dtype.is_complex then
      warn("Complex modules are a new feature under active development whose design may change, and some modules might "
        .. "not work as expected when using complex tensors as parameters or buffers. Please file an issue at "
        .. "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml if a complex module does not work as "
        .. "expected.")
    end
  end
  return convert_all(self, device, dtype, true, non_blocking, format, function(tensor)
    local number = tensor:is_floating_point() or tensor:is_complex()
    local options = {device = device or tensor.device, dtype = number and dtype or tensor.dtype, non_blocking = non_blocking}
    local dims = format and tensor:dim()
    if dims == 4 or dims == 5 then options.memory_format = format end
    local ok, made = pcall(tensor.to, tensor, options)
    if ok then return made end
    local message = type(made) ~= "string" and made.message or tostring(made)
    if not message:find(NO_DATA, 1, true) then error(made, 0) end
    vm.raise("usage", NO_DATA .. " Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving "
      .. "module from meta to a different device.")
  end)
end

--- Moves parameters, gradients and buffers to the CPU, in place.
---@return Module self
---@example nn.Linear(2, 1):cpu().weight.device  --> cpu
function methods:cpu() return self:to("cpu") end

-- The device of a kind, by its number or by itself.
local function device_of(kind, device)
  if device == nil then return kind end
  return math.type(device) == "integer" and kind .. ":" .. device or device
end

--- Moves parameters, gradients and buffers to a CUDA device, in place.
---@param device any the device or its number, the current device
---@return Module self
---@example if torch.cuda.is_available() then test.truthy(nn.Linear(2, 1):cuda().weight.is_cuda) end
function methods:cuda(device) return self:to(device_of("cuda", device)) end

-- Devices for which no LibTorch is built here: its error, once there is a tensor to move.

--- Moves parameters, gradients and buffers to an IPU device, in place: an error where LibTorch has none.
---@param device any the device or its number, the current device
---@return Module self
---@example test.raises("", function() nn.Linear(2, 1):ipu() end)
function methods:ipu(device) return self:to(device_of("ipu", device)) end

--- Moves parameters, gradients and buffers to an MTIA device, in place: an error where LibTorch has none.
---@param device any the device or its number, the current device
---@return Module self
---@example test.raises("", function() nn.Linear(2, 1):mtia() end)
function methods:mtia(device) return self:to(device_of("mtia", device)) end

--- Moves parameters, gradients and buffers to an XPU device, in place: an error where LibTorch has none.
---@param device any the device or its number, the current device
---@return Module self
---@example test.raises("", function() nn.Linear(2, 1):xpu() end)
function methods:xpu(device) return self:to(device_of("xpu", device)) end

local function of_floats(dtype)
  return function(self)
    return convert_all(self, nil, dtype, false, false, nil, function(tensor)
      return tensor:is_floating_point() and tensor:to(dtype) or tensor
    end)
  end
end

--- Converts floating point parameters and buffers to float32, in place.
---@return Module self
---@example nn.Linear(2, 1):double():float().weight.dtype  --> torch.float32
methods.float = of_floats(torch.float32)

--- Converts floating point parameters and buffers to float64, in place.
---@return Module self
---@example nn.Linear(2, 1):double().weight.dtype  --> torch.float64
methods.double = of_floats(torch.float64)

--- Converts floating point parameters and buffers to float16, in place.
---@return Module self
---@example nn.Linear(2, 1):half().weight.dtype  --> torch.float16
methods.half = of_floats(torch.float16)

--- Converts floating point parameters and buffers to bfloat16, in place.
---@return Module self
---@example nn.Linear(2, 1):bfloat16().weight.dtype  --> torch.bfloat16
methods.bfloat16 = of_floats(torch.bfloat16)

local parse_type = signature("Module.type", "dst_type")

--- Converts all parameters and buffers to a type, those of integers too, in place.
---@param dst_type any a dtype, or a name such as "torch.DoubleTensor"
---@return Module self
---@example nn.BatchNorm1d(2):type(torch.float64).num_batches_tracked.dtype  --> torch.float64
function methods:type(...)
  local dst_type = parse_type(...)
  return self:_apply(function(tensor) return tensor:type(dst_type) end)
end

local parse_empty = signature("Module.to_empty", "*, device, recurse=true")

--- Moves parameters and buffers to a device without their values: they are uninitialized memory from then on.
---@param device any
---@param recurse boolean of all modules below too, true
---@return Module self
---@example nn.Linear(2, 1, {device = "meta"}):to_empty{device = "cpu"}.weight.device  --> cpu
function methods:to_empty(...)
  local device, recurse = parse_empty(...)
  return self:_apply(function(tensor) return torch.empty_like(tensor, {device = device}) end, recurse)
end

--- Makes the memory of parameters and buffers one that other processes can share: see Tensor.share_memory_.
---@return Module self
---@example local layer = nn.Linear(2, 1)
--- layer:share_memory() == layer  --> true
function methods:share_memory()
  return self:_apply(function(tensor)
    if is_lazy(tensor) then
      vm.raise("usage", "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
        .. "parameters before calling `module.share_memory()`.")
    end
    return tensor:share_memory_()
  end)
end

local parse_zero = signature("Module.zero_grad", "set_to_none=true")

--- Clears the gradients of all parameters.
---@param set_to_none boolean forgets them rather than fill them with zeros, true
---@example local layer = nn.Linear(2, 1)
--- layer(torch.ones(2)):backward()
--- layer:zero_grad()
--- layer.weight.grad  --> nil
function methods:zero_grad(...) native.zero_grad(self, (parse_zero(...))) end

local parse_requires = signature("Module.requires_grad_", "requires_grad=true")

--- Freezes (false) or unfreezes all parameters.
---@param requires_grad boolean false freezes, true
---@return Module self
---@example nn.Linear(2, 1):requires_grad_(false).weight.requires_grad  --> false
function methods:requires_grad_(...)
  local requires_grad = parse_requires(...)
  native.set_requires_grad(self, requires_grad)
  local freezing = package.loaded["torch.nn.freezing"]
  if freezing then freezing.pin(self, requires_grad) end
  return self
end

--- PyTorch compiles forward here; there is nothing of the kind for Lua: an error.
---@example test.raises("translates Python", function() nn.ReLU():compile() end)
function methods:compile()
  vm.raise("usage", "Module.compile: torch.compile translates Python, and the forward of this module is Lua",
    "torch.jit.trace, or the module as it is")
end

return methods
