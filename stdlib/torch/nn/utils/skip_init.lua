-- nn.utils.skip_init: modules without the time that drawing their parameters takes.
local keywords = require "host.keywords"
local native = require "native.model"
local torch = require "torch"
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
  local module = module_cls(table.unpack(arguments, 1, arguments.n + 1))
  for _, each in ipairs(module:modules()) do
    for _, name in ipairs(native.slots(each)) do
      local tensor = each[name]
      local empty = tensor ~= nil and torch.empty_like(tensor, {device = device})
      if empty and native.slot(each, name) == "parameter" then each[name] = native.parameter(empty, tensor.requires_grad)
      elseif empty then each[name] = empty end
    end
  end
  return module
end

return skip
