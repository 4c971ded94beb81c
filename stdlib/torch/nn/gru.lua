-- nn.GRU: gated recurrent units (Cho 2014).
local RNNBase = require "torch.nn.rnn_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"

local fields <const>, run <const>, gru <const> = native.fields, recurrent.run, ops.find_any "aten::gru"
local refuse_proj_size <const> = recurrent.refuse_proj_size

---@class GRU : RNNBase
local GRU = module.class("GRU", RNNBase)
local parse = signature("nn.GRU", "input_size, hidden_size, num_layers=1, bias=true, batch_first=false, dropout=0.0, "
  .. "bidirectional=false, device=nil, dtype=nil")

---@param input_size integer features of each step
---@param hidden_size integer features of the state
---@param num_layers integer one on top of the other, 1
---@param bias boolean adds two vectors to each layer, true
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param dropout number of each layer's outputs but the last's, when training, 0.0
---@param bidirectional boolean also reads each sequence from its end, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local out, h = nn.GRU(3, 4, 2)(torch.ones(5, 2, 3))
--- h.shape  --> torch.Size([2, 2, 4])
---@source torch.nn.GRU
function GRU:__init(...)
  refuse_proj_size(...)
  local input_size, hidden_size, layers, bias, batch_first, dropout, bidirectional, device, dtype = parse(...)
  RNNBase.__init(self, "GRU", input_size, hidden_size, layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
end

---@param x Tensor|PackedSequence [length, batch, input_size], [batch, length, input_size] or [length, input_size]
---@param hx Tensor? the first state [layers x directions, batch, hidden_size], zeros
---@return Tensor|PackedSequence of the last layer's states
---@return Tensor the last state of each layer
function GRU:forward(x, hx) return run(self, fields(self), x, hx, "GRU", gru) end

return GRU
