-- nn.RNNCellBase: parameters and text of RNNCell, LSTMCell and GRUCell.
local allocate = require "torch.nn.allocate"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local signature = require "torch.signature"
local text = require "torch.python_text"

---@class RNNCellBase : Module
local RNNCellBase = module.class("RNNCellBase")
local parse = require "torch.nn.typed"(
  signature("nn.RNNCellBase", "input_size, hidden_size, bias, num_chunks, device=nil, dtype=nil"),
  "nn.RNNCellBase", "input_size: size, hidden_size: size, bias: any?, num_chunks: size")

---@param input_size integer features of the input
---@param hidden_size integer features of the state
---@param bias boolean adds two vectors
---@param num_chunks integer gates
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.RNNCellBase(2, 3, true, 4).weight_ih.shape  --> torch.Size([12, 2])
function RNNCellBase:__init(...)
  local input_size, hidden_size, bias, chunks, device, dtype = parse(...)
  self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
  local rows = chunks * hidden_size
  self.weight_ih = allocate.parameter({rows, input_size}, device, dtype)
  self.weight_hh = allocate.parameter({rows, hidden_size}, device, dtype)
  self:register_parameter("bias_ih", bias and allocate.parameter({rows}, device, dtype) or nil)
  self:register_parameter("bias_hh", bias and allocate.parameter({rows}, device, dtype) or nil)
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example nn.GRUCell(2, 3):reset_parameters()
function RNNCellBase:reset_parameters()
  local bound = self.hidden_size > 0 and 1.0 / math.sqrt(self.hidden_size) or 0
  for _, weight in ipairs(self:parameters()) do init.uniform_(weight, -bound, bound) end
end

function RNNCellBase:extra_repr()
  local out = ("%d, %d"):format(self.input_size, self.hidden_size)
  if self.bias ~= true then out = out .. ", " .. text.fields(self, "bias") end
  if self.nonlinearity ~= nil and self.nonlinearity ~= "tanh" then out = out .. ", nonlinearity=" .. self.nonlinearity end
  return out
end

return RNNCellBase
