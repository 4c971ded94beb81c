-- nn.utils.skip_init: modules without the time that drawing their parameters takes.
local keywords = require "host.keywords"
local vm = require "native.vm"

local skip = {}

--- Makes a module whose parameters have memory and no values: to load them, or to fill them otherwise.
---@param module_cls table a class that takes `device`
---@param ... any its arguments; `device` by name, the CPU
---@return Module
---@example nn.utils.skip_init(nn.Linear, 3, 2).weight.shape  --> torch.Size([2, 3])
---@source torch.nn.utils.skip_init
function skip.skip_init(module_cls, ...)
  if type(module_cls) ~= "table" or rawget(module_cls, "__name") == nil then
    vm.raise("usage", "Expected a Module; got " .. vm.describe(module_cls))
  end
  local arguments, named = keywords.split(...)
  local given = {}
  for name, value in pairs(named or {}) do given[name] = value end
  local device = given.device or "cpu"
  given.device = "meta"
  arguments[arguments.n + 1] = given
  return module_cls(table.unpack(arguments, 1, arguments.n + 1)):to_empty({device = device})
end

return skip
