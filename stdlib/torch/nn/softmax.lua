-- nn.Softmax over one dimension.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"
local text = require "torch.python_text"

local softmax <const> = functional.softmax

---@class Softmax : Module
local Softmax = module.class("Softmax")
local parse = require "torch.nn.typed"(signature("nn.Softmax", "dim=nil"), "nn.Softmax",
  "dim: integer?")

function Softmax:__init(...) self.dim = parse(...) end
function Softmax:forward(x) return softmax(x, self.dim) end
function Softmax:extra_repr() return text.pairs("dim", self.dim) end

return Softmax
