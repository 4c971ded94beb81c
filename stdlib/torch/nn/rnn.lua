-- nn.RNN: a recurrent layer with tanh or ReLU.
local RNNBase = require "torch.nn.rnn_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"
local vm = require "native.vm"

local fields <const>, run <const>, refuse_proj_size <const> = native.fields, recurrent.run, recurrent.refuse_proj_size
local rnn_tanh <const>, rnn_relu <const> = ops.find_any "aten::rnn_tanh", ops.find_any "aten::rnn_relu"

---@class RNN : RNNBase
local RNN = module.class("RNN", RNNBase)
local parse = signature("nn.RNN", "input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=true, "
  .. "batch_first=false, dropout=0.0, bidirectional=false, device=nil, dtype=nil")

---@param input_size integer features of each step
---@param hidden_size integer features of the state
---@param num_layers integer one on top of the other, 1
---@param nonlinearity string 'tanh' or 'relu', 'tanh'
---@param bias boolean adds two vectors to each layer, true
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param dropout number of each layer's outputs but the last's, when training, 0.0
---@param bidirectional boolean also reads each sequence from its end, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local out, h = nn.RNN(3, 4)(torch.ones(5, 2, 3))
--- out.shape  --> torch.Size([5, 2, 4])
---@source torch.nn.RNN
function RNN:__init(...)
  refuse_proj_size(...)
  local input_size, hidden_size, layers, nonlinearity, bias, batch_first, dropout, bidirectional, device, dtype = parse(...)
  if nonlinearity ~= "tanh" and nonlinearity ~= "relu" then
    vm.raise("usage", ("Unknown nonlinearity '%s'. Select from 'tanh' or 'relu'."):format(tostring(nonlinearity)))
  end
  self.nonlinearity = nonlinearity
  RNNBase.__init(self, nonlinearity == "tanh" and "RNN_TANH" or "RNN_RELU", input_size, hidden_size, layers, bias,
    batch_first, dropout, bidirectional, 0, device, dtype)
end

---@param x Tensor|PackedSequence [length, batch, input_size], [batch, length, input_size] or [length, input_size]
---@param hx Tensor? the first state [layers x directions, batch, hidden_size], zeros
---@return Tensor|PackedSequence of the last layer's states
---@return Tensor the last state of each layer
function RNN:forward(x, hx)
  local f = fields(self)
  return run(self, f, x, hx, "RNN", f.mode == "RNN_TANH" and rnn_tanh or rnn_relu)
end

return RNN
