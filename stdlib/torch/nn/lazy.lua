-- Lazily initialized modules: the first call gives their parameters a shape, and the module the class that it stands for.
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local typed = require "torch.nn.typed"
local uninitialized = require "torch.nn.uninitialized"
local vm = require "native.vm"

--- What lazily initialized modules have: make a class over it, or add it to the class of another base, and call its
--- `__init(self)`. `initialize_parameters(self, ...)` gets the arguments of the first call and gives uninitialized
--- parameters their shape; with `cls_to_become` the module is of that class from then on.
---@class LazyModuleMixin : Module
---@example local Scale = nn.class("Scale", nn.modules.lazy.LazyModuleMixin)
--- function Scale:__init()
---   nn.modules.lazy.LazyModuleMixin.__init(self)
---   self.by = nn.UninitializedParameter()
--- end
--- function Scale:initialize_parameters(x)
---   self.by:materialize{x:size(-1)}
---   nn.init.ones_(self.by)
--- end
--- function Scale:forward(x) return x * self.by end
--- local scale = Scale()
--- scale(torch.ones(2, 3))
--- scale.by.shape  --> torch.Size([3])
---@source torch.nn.modules.lazy.LazyModuleMixin
local LazyModuleMixin = module.class("LazyModuleMixin")

-- A state dict of initialized parameters gives those of the module their shapes.
local function before_load(self, state, prefix)
  for _, name in ipairs(native.slots(self)) do
    local own, given = self[name], state[prefix .. name]
    if native.is_uninitialized(own) and given ~= nil and not native.is_uninitialized(given) then
      own:materialize(given.shape)
    end
  end
end

-- Before the first call.
local function infer(self, args, kwargs)
  if next(kwargs) == nil then self:initialize_parameters(table.unpack(args, 1, args.n))
  else
    local all = table.move(args, 1, args.n, 1, {})
    all[args.n + 1] = kwargs
    self:initialize_parameters(table.unpack(all, 1, args.n + 1))
  end
  if self:has_uninitialized_params() then
    vm.raise("usage", ("module %s has not been fully initialized"):format(self:_get_name()))
  end
  self._initialize_hook:remove()
  self._load_hook:remove()
  self._initialize_hook, self._load_hook = nil, nil
  if self.cls_to_become then native.set_class(self, self.cls_to_become) end
end

--- Makes the module wait for its first call.
function LazyModuleMixin:__init()
  self._load_hook = self:_register_load_state_dict_pre_hook(before_load, true)
  self._initialize_hook = self:register_forward_pre_hook(infer, {with_kwargs = true})
end

--- Gives the parameters their shapes for the arguments of the first call: override it.
---@example local layer = nn.LazyLinear(2)
--- layer:initialize_parameters(torch.ones(4, 3))
--- layer.weight.shape  --> torch.Size([2, 3])
function LazyModuleMixin:initialize_parameters()
  vm.raise("usage", "initialize_parameters is not implemented for " .. self:_get_name())
end

--- Has one of the module's own parameters or buffers no shape yet?
---@return boolean
---@example nn.LazyLinear(2):has_uninitialized_params()  --> true
function LazyModuleMixin:has_uninitialized_params() return uninitialized.any_of(self) end

--- A class over another that becomes that one at its first call, for which it has `initialize_parameters(self, input)`;
--- its `__init` calls `LazyModuleMixin.__init(self)`.
---@param name string
---@param base table the class that it becomes
---@param spec string parameters of the constructor, as torch.signature reads them
---@param kinds string what they must be, as torch.nn.typed reads it
---@param size string the field with the size that is not known yet: 0 until then
---@return table class
---@return fun(...): ... parse
local function over(name, base, spec, kinds, size)
  local class = module.class(name, base, LazyModuleMixin)
  class.__signature, class.cls_to_become = spec, base
  local read, _, _, names = signature("nn." .. name, spec)

  --- Draws the parameters as PyTorch does, once they have a shape.
  ---@example nn.LazyLinear(2):reset_parameters()
  function class:reset_parameters()
    if not uninitialized.any_of(self) and self[size] ~= 0 then base.reset_parameters(self) end
  end

  return class, typed(read, "nn." .. name, kinds, names)
end

return {LazyModuleMixin = LazyModuleMixin, over = over}
