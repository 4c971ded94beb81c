-- nn.Dropout: zeroes elements with probability p while training.
local catalog = require "native.ops"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const> = native.fields
local dropout <const>, dropout_ <const> = catalog.find_any("aten::dropout"), catalog.find_any("aten::dropout_")

---@class Dropout : Module
local Dropout = module.class("Dropout")
local parse = require "torch.nn.typed"(signature("nn.Dropout", "p=0.5, inplace=false"), "nn.Dropout",
  "p: number, inplace: flag")

---@param p number probability of a zero, 0.5
---@param inplace boolean writes into the input, false
---@example nn.Dropout(0.5):eval()(torch.ones(3))  --> tensor([1., 1., 1.])
---@source torch.nn.Dropout
function Dropout:__init(...)
  self.p, self.inplace = parse(...)
  if type(self.p) ~= "number" or self.p < 0 or self.p > 1 then
    vm.raise("usage", "dropout probability has to be between 0 and 1, but got " .. vm.describe(self.p))
  end
end

---@param x Tensor
---@return Tensor of x's shape
function Dropout:forward(x)
  local f = fields(self)
  return (f.inplace and dropout_ or dropout)(x, f.p, self.training)
end

function Dropout:extra_repr() return text.pairs("p", self.p, "inplace", self.inplace) end

return Dropout
