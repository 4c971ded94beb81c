-- The class of modules written in C++ that an embedding program hands over.
local native = require "native.model"
local module = require "torch.nn.module"

local Foreign = module.class("Foreign")

Foreign.forward = native.foreign_forward
function Foreign:__repr() return native.describe_foreign(self) end

--- Training mode of this module and all below it; what nn.freeze has frozen stays in evaluation mode.
---@param mode boolean false is evaluation mode, true
---@return Module self
function Foreign:train(mode)
  if mode == nil then mode = true end
  local freezing = package.loaded["torch.nn.freezing"]
  if not (freezing and type(mode) == "boolean" and freezing.wish_training(self, mode)) then
    return module.Module.train(self, mode)
  end
  native.set_training(self, false)  -- takes the children along: each is asked after it
  for _, child in ipairs(self:children()) do child:train(mode) end
  return self
end

--- A copy with its own tensors, by the C++ module's own `clone`.
---@return Module
function Foreign:deepcopy()
  local copy = native.clone_foreign(self)
  local freezing = package.loaded["torch.nn.freezing"]
  if freezing then freezing.carry(self, copy) end
  return copy
end

native.set_foreign_class(Foreign)
return Foreign
