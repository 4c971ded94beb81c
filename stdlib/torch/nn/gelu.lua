-- nn.GELU: x times the normal distribution function of x, or its tanh approximation.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"

local fields <const>, gelu <const> = native.fields, functional.gelu

---@class GELU : Module
local GELU = module.class("GELU")
local parse = require "torch.nn.typed"(signature("nn.GELU", "approximate='none'"), "nn.GELU",
  "approximate: text")

---@param approximate string 'none' or 'tanh', 'none'
---@example nn.GELU()(torch.zeros(1))  --> tensor([0.])
---@source torch.nn.GELU
function GELU:__init(...) self.approximate = parse(...) end

---@param x Tensor
---@return Tensor of x's shape
function GELU:forward(x)
  local approximate = fields(self).approximate
  if approximate == "none" then return gelu(x) end
  return gelu(x, {approximate = approximate})
end

function GELU:extra_repr() return "approximate=" .. text.quoted(self.approximate) end

return GELU
