-- What lazily initialized layers share: the first forward gives their parameters a shape, and the layer its real class.
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local typed = require "torch.nn.typed"
local uninitialized = require "torch.nn.uninitialized"
local vm = require "native.vm"

--- A class over another that becomes that one at its first forward, for which it has `initialize_parameters(self, input)`.
---@param name string
---@param base table the class that it becomes
---@param spec string parameters of the constructor, as torch.signature reads them
---@param kinds string what they must be, as torch.nn.typed reads it
---@param size string the field with the size that is not known yet: 0 until then
---@return table class
---@return fun(...): ... parse
return function(name, base, spec, kinds, size)
  local class = module.class(name, base)
  class.__signature, class.cls_to_become = spec, base
  local read, _, _, names = signature("nn." .. name, spec)

  class.has_uninitialized_params = uninitialized.any_of

  --- Draws the parameters as PyTorch does, once they have a shape.
  ---@example nn.LazyLinear(2):reset_parameters()
  function class:reset_parameters()
    if not uninitialized.any_of(self) and self[size] ~= 0 then base.reset_parameters(self) end
  end

  ---@param x Tensor what the layer takes
  ---@return Tensor what it gives
  function class:forward(x, ...)
    self:initialize_parameters(x)
    if uninitialized.any_of(self) then
      vm.raise("usage", ("module %s has not been fully initialized"):format(name))
    end
    native.set_class(self, base)
    return base.forward(self, x, ...)
  end

  return class, typed(read, "nn." .. name, kinds, names)
end
