-- nn.LogSoftmax over one dimension.
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local signature = require "torch.signature"
local text = require "torch.python_text"

local log_softmax <const> = functional.log_softmax

---@class LogSoftmax : Module
local LogSoftmax = module.class("LogSoftmax")
local parse = require "torch.nn.typed"(signature("nn.LogSoftmax", "dim=nil"), "nn.LogSoftmax",
  "dim: integer?")

function LogSoftmax:__init(...) self.dim = parse(...) end
function LogSoftmax:forward(x) return log_softmax(x, self.dim) end
function LogSoftmax:extra_repr() return text.pairs("dim", self.dim) end

return LogSoftmax
