-- nn.Flatten: dimensions start_dim to end_dim become one.
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const> = native.fields

---@class Flatten : Module
local Flatten = module.class("Flatten")
local parse = require "torch.nn.typed"(signature("nn.Flatten", "start_dim=1, end_dim=-1"), "nn.Flatten",
  "start_dim: integer, end_dim: integer")

---@param start_dim integer the first dimension, 1
---@param end_dim integer the last dimension, -1
---@example nn.Flatten()(torch.ones(2, 3, 4)).shape  --> torch.Size([2, 12])
---@source torch.nn.Flatten
function Flatten:__init(...) self.start_dim, self.end_dim = parse(...) end

---@param x Tensor
---@return Tensor with the dimensions from start_dim to end_dim as one
function Flatten:forward(x)
  local f = fields(self)
  return x:flatten(f.start_dim, f.end_dim)
end

function Flatten:extra_repr() return text.pairs("start_dim", self.start_dim, "end_dim", self.end_dim) end

return Flatten
