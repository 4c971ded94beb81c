-- torch.cpu: the CPU by the names that accelerators have, as in torch/cpu/__init__.py.
local autocast = require "torch.amp"
local entered = require "torch.entered"
local native = require "native.device"

return {
  is_available = function() return true end,
  is_initialized = function() return true end,
  device_count = function() return 1 end,
  current_device = function() return "cpu" end,
  set_device = function() end,
  synchronize = function() end,
  --- The one stream there is.
  ---@return Stream
  current_stream = function() return native.current_stream("cpu") end,
  --- Changes nothing: all work on the CPU is done in order.
  stream = function(_, ...) return entered(function() end, ...) end,
  amp = {autocast = autocast.autocast_on("cpu", "bfloat16")},
}
