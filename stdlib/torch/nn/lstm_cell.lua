-- nn.LSTMCell: one step of long short-term memory.
local RNNCellBase = require "torch.nn.rnn_cell_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"

local fields <const>, has_batch <const>, lstm_cell <const> = native.fields, recurrent.has_batch,
  ops.find_any "aten::lstm_cell"

---@class LSTMCell : RNNCellBase
local LSTMCell = module.class("LSTMCell", RNNCellBase)
local parse = signature("nn.LSTMCell", "input_size, hidden_size, bias=true, device=nil, dtype=nil")

---@param input_size integer features of the input
---@param hidden_size integer features of the state
---@param bias boolean adds two vectors, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local h, c = nn.LSTMCell(3, 4)(torch.ones(2, 3))
--- c.shape  --> torch.Size([2, 4])
---@source torch.nn.LSTMCell
function LSTMCell:__init(...)
  local input_size, hidden_size, bias, device, dtype = parse(...)
  RNNCellBase.__init(self, input_size, hidden_size, bias, 4, device, dtype)
end

---@param x Tensor [batch, input_size] or [input_size]
---@param hx Tensor[]? the state and the cell state, each [batch, hidden_size] or [hidden_size], zeros
---@return Tensor the next state
---@return Tensor the next cell state
function LSTMCell:forward(x, hx)
  local f = fields(self)
  local batched = has_batch(x, "LSTMCell", "input")
  if hx ~= nil then
    has_batch(hx[1], "LSTMCell", "hx[0]")
    has_batch(hx[2], "LSTMCell", "hx[1]")
  end
  if not batched then x = x:unsqueeze(0) end
  if hx == nil then
    local zeros = x:new_zeros(x:size(0), f.hidden_size)
    hx = {zeros, zeros}
  elseif not batched then hx = {hx[1]:unsqueeze(0), hx[2]:unsqueeze(0)} end
  local h, c = lstm_cell(x, hx, f.weight_ih, f.weight_hh, f.bias_ih, f.bias_hh)
  if not batched then return h:squeeze(0), c:squeeze(0) end
  return h, c
end

return LSTMCell
