-- The class of modules written in C++ that an embedding program hands over.
local native = require "native.model"
local module = require "torch.nn.module"

local Foreign = module.class("Foreign")

Foreign.forward = native.foreign_forward
function Foreign:__repr() return native.describe_foreign(self) end

--- A copy with its own tensors, by the C++ module's own `clone`.
---@return Module
function Foreign:deepcopy() return native.clone_foreign(self) end

native.set_foreign_class(Foreign)
return Foreign
