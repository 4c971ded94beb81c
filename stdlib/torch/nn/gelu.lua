-- nn.GELU: x times the normal distribution function of x, or its tanh approximation.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"
local text = require "torch.python_text"

local gelu <const> = functional.gelu

---@class GELU : Module
local GELU = module.class("GELU")
local parse = require "torch.nn.typed"(signature("nn.GELU", "approximate='none'"), "nn.GELU",
  "approximate: text")

function GELU:__init(...) self.approximate = parse(...) end
function GELU:forward(x) return gelu(x, {approximate = self.approximate}) end
function GELU:extra_repr() return "approximate=" .. text.quoted(self.approximate) end

return GELU
