-- nn.Softmax over one dimension.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, softmax <const> = native.fields, catalog.find_any("aten::softmax")

---@class Softmax : Module
local Softmax = module.class("Softmax")
local parse = require "torch.nn.typed"(signature("nn.Softmax", "dim=nil"), "nn.Softmax",
  "dim: integer?")

---@param dim integer the dimension, from 0; must be given before a call
---@example nn.Softmax(0)(torch.zeros(2))  --> tensor([0.5000, 0.5000])
---@source torch.nn.Softmax
function Softmax:__init(...) self.dim = parse(...) end

---@param x Tensor
---@return Tensor of x's shape
function Softmax:forward(x)
  local dim = fields(self).dim
  return dim and softmax(x, dim) or functional.softmax(x)  -- which says what is missing
end

function Softmax:extra_repr() return text.pairs("dim", self.dim) end

return Softmax
