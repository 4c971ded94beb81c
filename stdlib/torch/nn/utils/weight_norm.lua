-- nn.utils.weight_norm: the old weight normalization, by a hook before each forward.
local native = require "native.model"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"
local warn = require "torch.warn"

local compute <const>, norm_except_dim <const> = ops.find_any "aten::_weight_norm", ops.find_any "aten::norm_except_dim"

local norms = {}

-- The hook: a table with `name` and `dim`.
local WeightNorm = {__name = "WeightNorm"}

local function weight_of(self, module) return compute(module[self.name .. "_v"], module[self.name .. "_g"], self.dim) end

function WeightNorm.__call(self, module) module[self.name] = weight_of(self, module) end

local function find(module, name)
  return module:_find_forward_pre_hook(function(hook) return getmetatable(hook) == WeightNorm and hook.name == name end)
end

local parse = signature("nn.utils.weight_norm", "module, name='weight', dim=0")

--- Replaces a weight by its magnitude `weight_g` and direction `weight_v`: the old way, see
--- nn.utils.parametrizations.weight_norm.
---@param module Module
---@param name string 'weight'
---@param dim integer? the norm is over all other dimensions; nil over all, 0
---@return Module module
---@example nn.utils.weight_norm(nn.Linear(3, 2)).weight_g.shape  --> torch.Size([2, 1])
---@source torch.nn.utils.weight_norm
function norms.weight_norm(...)
  local module, name, dim = parse(...)
  warn("`torch.nn.utils.weight_norm` is deprecated in favor of `torch.nn.utils.parametrizations.weight_norm`.")
  if find(module, name) then
    vm.raise("usage", "Cannot register two weight_norm hooks on the same parameter " .. name)
  end
  local hook = setmetatable({name = name, dim = dim or -1}, WeightNorm)
  local weight = module[name]
  module[name] = nil
  module:register_parameter(name .. "_g", native.parameter(norm_except_dim(weight, 2, hook.dim).data, true))
  module:register_parameter(name .. "_v", native.parameter(weight.data, true))
  module[name] = weight_of(hook, module)
  module:register_forward_pre_hook(hook)
  return module
end

local parse_remove = signature("nn.utils.remove_weight_norm", "module, name='weight'")

--- Makes the weight a parameter again.
---@param module Module
---@param name string 'weight'
---@return Module module
---@example nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(3, 2))).weight_g  --> nil
---@source torch.nn.utils.remove_weight_norm
function norms.remove_weight_norm(...)
  local module, name = parse_remove(...)
  local hook, remove = find(module, name)
  if not hook then vm.raise("usage", ("weight_norm of '%s' not found in %s"):format(name, module)) end
  local weight = weight_of(hook, module)
  module[name] = nil
  module[name .. "_g"] = nil
  module[name .. "_v"] = nil
  module[name] = native.parameter(weight.data, true)
  remove()
  return module
end

return norms
