-- torch.accelerator: the accelerator of this machine, whichever it is, as in torch/accelerator/__init__.py.
local memory = require "torch.device_memory"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.tensor"
local of = require "native.device"
local vm = require "native.vm"

local accelerator = {}

-- The accelerator's type; an error where there is none.
local function required()
  of.require()
  return of.accelerator()
end

-- A device, its index, or the current one, as the accelerator's device.
local function device_of(device)
  local type_name = required()
  if device == nil then return type_name end
  local index = math.type(device) and math.tointeger(device)
  if index then return ("%s:%d"):format(type_name, index) end
  local given = native.device(device)
  if given.type ~= type_name then
    vm.raise("device", ("%s doesn't match the current accelerator %s."):format(given.type, type_name))
  end
  return given
end

--- The accelerator as a device without index, or nil.
---@param check_available? boolean true: nil also where none can be used
---@return device?
accelerator.current_accelerator = named("torch.accelerator.current_accelerator", "check_available=false", function(check)
  local name = of.accelerator()
  if check and not accelerator.is_available() then return nil end
  return name and native.device(name) or nil
end)

---@return boolean
function accelerator.is_available() return accelerator.device_count() > 0 end

---@return integer
function accelerator.device_count()
  local name = of.accelerator()
  return name and of.count(name) or 0
end

---@return integer
function accelerator.current_device_index() return of.current(required()) end
accelerator.current_device_idx = accelerator.current_device_index

---@param device device|integer
accelerator.set_device_index = named("torch.accelerator.set_device_index", "device", function(device)
  of.exchange(device_of(device))
end)
accelerator.set_device_idx = accelerator.set_device_index

---@param device? device|integer the current one
---@return Stream
accelerator.current_stream = named("torch.accelerator.current_stream", "device=nil", function(device)
  return of.current_stream(device_of(device))
end)

---@param stream Stream
accelerator.set_stream = named("torch.accelerator.set_stream", "stream", function(stream)
  required()
  of.set_stream(stream)
end)

--- Waits for all work on a device.
---@param device? device|integer the current one
accelerator.synchronize = named("torch.accelerator.synchronize", "device=nil", function(device)
  of.synchronize(device_of(device))
end)

--- Another current device until the scope ends, or while a function runs.
---@param device integer|nil nil: no change
---@param fn? function is called with the arguments that follow it
accelerator.device_index = mode("torch.accelerator.device_index", "device=nil", function(device)
  if device == nil then return function() end end
  local name = required()
  local before = of.exchange(device_of(device))
  return function() of.exchange(("%s:%d"):format(name, before)) end
end)

for name, f in pairs(memory("torch.accelerator", device_of, required)) do accelerator[name] = f end
--- Bytes that are free, and all there are.
---@param device? device|integer
---@return integer free
---@return integer total
accelerator.get_memory_info = accelerator.mem_get_info
accelerator.mem_get_info = nil

return require("host.namespace")("torch.accelerator", {held = accelerator})
