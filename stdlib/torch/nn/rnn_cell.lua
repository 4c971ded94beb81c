-- nn.RNNCell: one step of a recurrent layer with tanh or ReLU.
local RNNCellBase = require "torch.nn.rnn_cell_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"
local vm = require "native.vm"

local fields <const>, step <const> = native.fields, recurrent.step
local OPERATORS <const> = {tanh = ops.find_any "aten::rnn_tanh_cell", relu = ops.find_any "aten::rnn_relu_cell"}

---@class RNNCell : RNNCellBase
local RNNCell = module.class("RNNCell", RNNCellBase)
local parse = signature("nn.RNNCell", "input_size, hidden_size, bias=true, nonlinearity='tanh', device=nil, dtype=nil")

---@param input_size integer features of the input
---@param hidden_size integer features of the state
---@param bias boolean adds two vectors, true
---@param nonlinearity string 'tanh' or 'relu', 'tanh'
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.RNNCell(3, 4)(torch.ones(2, 3)).shape  --> torch.Size([2, 4])
---@source torch.nn.RNNCell
function RNNCell:__init(...)
  local input_size, hidden_size, bias, nonlinearity, device, dtype = parse(...)
  RNNCellBase.__init(self, input_size, hidden_size, bias, 1, device, dtype)
  self.nonlinearity = nonlinearity
end

---@param x Tensor [batch, input_size] or [input_size]
---@param hx Tensor? the state [batch, hidden_size] or [hidden_size], zeros
---@return Tensor the next state
function RNNCell:forward(x, hx)
  local f = fields(self)
  return step(f, x, hx, "RNNCell", OPERATORS[f.nonlinearity] or function()
    vm.raise("usage", "Unknown nonlinearity: " .. tostring(f.nonlinearity))
  end)
end

return RNNCell
