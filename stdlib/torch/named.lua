-- Functions whose arguments may be given by name, as Python's may.
local signature = require "torch.signature"
local wrapped = require "host.wrapped"

--- A function f, called with its arguments in order, by position or by name.
---@param name string as the user writes it: "torch.cuda.set_device"
---@param spec string its parameters, as torch.signature reads them
---@param f function
---@return function
return function(name, spec, f)
  local parse = signature(name, spec)
  local function wrapper(...) return f(parse(...)) end
  wrapped[wrapper] = f
  return wrapper
end
