-- nn.GRUCell: one step of gated recurrent units.
local RNNCellBase = require "torch.nn.rnn_cell_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"

local fields <const>, step <const>, gru_cell <const> = native.fields, recurrent.step, ops.find_any "aten::gru_cell"

---@class GRUCell : RNNCellBase
local GRUCell = module.class("GRUCell", RNNCellBase)
local parse = signature("nn.GRUCell", "input_size, hidden_size, bias=true, device=nil, dtype=nil")

---@param input_size integer features of the input
---@param hidden_size integer features of the state
---@param bias boolean adds two vectors, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.GRUCell(3, 4)(torch.ones(2, 3)).shape  --> torch.Size([2, 4])
---@source torch.nn.GRUCell
function GRUCell:__init(...)
  local input_size, hidden_size, bias, device, dtype = parse(...)
  RNNCellBase.__init(self, input_size, hidden_size, bias, 3, device, dtype)
end

---@param x Tensor [batch, input_size] or [input_size]
---@param hx Tensor? the state [batch, hidden_size] or [hidden_size], zeros
---@return Tensor the next state
function GRUCell:forward(x, hx) return step(fields(self), x, hx, "GRUCell", gru_cell) end

return GRUCell
