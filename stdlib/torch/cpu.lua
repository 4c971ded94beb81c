-- torch.cpu: the CPU by the names that accelerators have, as in torch/cpu/__init__.py.
local amp_of = require "torch.amp_of"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.device"

local cpu = {
  --- Whether the CPU can be used: true.
  ---@return boolean
  ---@example torch.cpu.is_available()  --> true
  is_available = function() return true end,
  --- Whether the CPU is ready: true.
  ---@return boolean
  ---@example torch.cpu.is_initialized()  --> true
  is_initialized = function() return true end,
  --- How many CPU devices there are: 1.
  ---@return integer
  ---@example torch.cpu.device_count()  --> 1
  device_count = function() return 1 end,
  --- The name of the one device.
  ---@return string "cpu"
  ---@example torch.cpu.current_device()  --> cpu
  current_device = function() return "cpu" end,
  --- Changes nothing: there is one CPU.
  ---@param device device
  ---@example torch.cpu.set_device("cpu")
  --- torch.cpu.current_device()  --> cpu
  set_device = named("torch.cpu.set_device", "device", function() end),
  --- Changes nothing: work on the CPU is done when a call returns.
  ---@param device? device
  ---@example torch.cpu.synchronize()
  synchronize = named("torch.cpu.synchronize", "device=nil", function() end),
  --- The one stream there is.
  ---@param device? device
  ---@return Stream
  ---@example torch.cpu.current_stream().device  --> cpu
  current_stream = named("torch.cpu.current_stream", "device=nil", function() return native.current_stream("cpu") end),
  --- Changes nothing: all work on the CPU is done in order.
  ---@param stream Stream
  stream = mode("torch.cpu.stream", "stream=nil", function() return function() end end),
  --- The one stream there is, whatever its priority.
  ---@param priority? integer has no effect
  ---@return Stream
  ---@example torch.cpu.Stream().device  --> cpu
  Stream = named("torch.cpu.Stream", "priority=-1", function() return native.current_stream("cpu") end),
  amp = amp_of("cpu", "bfloat16"),
}

--- The scope of torch.cpu.stream, by its class's name.
---@example torch.cpu.StreamContext(nil, function() return 1 end)  --> 1
cpu.StreamContext = cpu.stream

return require("host.namespace")("torch.cpu", {held = cpu})
