-- nn.Identity: what it is given; any arguments are ignored when it is made.
local module = require "torch.nn.module"

---@class Identity : Module
---@example nn.Identity()(torch.ones(2))  --> tensor([1., 1.])
---@source torch.nn.Identity
local Identity = module.class("Identity")

---@param x any
---@return any x
function Identity:forward(x) return x end

return Identity
