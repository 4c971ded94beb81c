-- torch.cpu: the CPU by the names that accelerators have, as in torch/cpu/__init__.py.
local autocast = require "torch.amp"
local entered = require "torch.entered"
local native = require "native.device"

return {
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
  --- Changes nothing: there is one device.
  ---@param device? device
  set_device = function() end,
  --- Changes nothing: work on the CPU is done when its call returns.
  ---@param device? device
  synchronize = function() end,
  --- The one stream there is.
  ---@return Stream
  current_stream = function() return native.current_stream("cpu") end,
  --- Changes nothing: all work on the CPU is done in order.
  stream = function(_, ...) return entered(function() end, ...) end,
  amp = {autocast = autocast.autocast_on("cpu", "bfloat16")},
}
