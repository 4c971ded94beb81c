-- nn.LogSoftmax over one dimension.
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, log_softmax <const> = native.fields, catalog.find_any("aten::log_softmax")

---@class LogSoftmax : Module
local LogSoftmax = module.class("LogSoftmax")
local parse = require "torch.nn.typed"(signature("nn.LogSoftmax", "dim=nil"), "nn.LogSoftmax",
  "dim: integer?")

---@param dim integer the dimension, from 0; must be given before a call
---@example nn.LogSoftmax(0)(torch.zeros(2))  --> tensor([-0.6931, -0.6931])
---@source torch.nn.LogSoftmax
function LogSoftmax:__init(...) self.dim = parse(...) end

---@param x Tensor
---@return Tensor of x's shape
function LogSoftmax:forward(x)
  local dim = fields(self).dim
  return dim and log_softmax(x, dim) or functional.log_softmax(x)  -- which says what is missing
end

function LogSoftmax:extra_repr() return text.pairs("dim", self.dim) end

return LogSoftmax
