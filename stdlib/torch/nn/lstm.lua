-- nn.LSTM: long short-term memory (Hochreiter and Schmidhuber 1997).
local RNNBase = require "torch.nn.rnn_base"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local packed = require "torch.nn.utils.packed_sequence"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"
local vm = require "native.vm"

local fields <const>, lstm <const>, pack <const> = native.fields, ops.find_any "aten::lstm", packed.make
local prepare <const>, permuted <const>, weights_of <const> = recurrent.prepare, recurrent.permuted, recurrent.weights_of
local check_input <const>, check_hidden <const> = recurrent.check_input, recurrent.check_hidden

---@class LSTM : RNNBase
local LSTM = module.class("LSTM", RNNBase)
local parse = signature("nn.LSTM", "input_size, hidden_size, num_layers=1, bias=true, batch_first=false, dropout=0.0, "
  .. "bidirectional=false, proj_size=0, device=nil, dtype=nil")

---@param input_size integer features of each step
---@param hidden_size integer features of the state
---@param num_layers integer one on top of the other, 1
---@param bias boolean adds two vectors to each layer, true
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param dropout number of each layer's outputs but the last's, when training, 0.0
---@param bidirectional boolean also reads each sequence from its end, false
---@param proj_size integer outputs are projected to this size, 0 is not, 0
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local out, hc = nn.LSTM(3, 4)(torch.ones(5, 2, 3))
--- hc[2].shape  --> torch.Size([1, 2, 4])
---@source torch.nn.LSTM
function LSTM:__init(...) RNNBase.__init(self, "LSTM", parse(...)) end

-- The two parts of the state by the user, batched.
local function both_parts(hx, single, batched)
  local h, c = hx[1], hx[2]
  local dims = single and 2 or 3
  if batched and (h:dim() ~= dims or c:dim() ~= dims) then
    vm.raise("shape", ("For %s %d-D input, hx and cx should also be %d-D but got (%d-D, %d-D) tensors"):format(
      single and "unbatched" or "batched", dims, dims, h:dim(), c:dim()))
  end
  if single then return h:unsqueeze(1), c:unsqueeze(1) end
  return h, c
end

---@param x Tensor|PackedSequence [length, batch, input_size], [batch, length, input_size] or [length, input_size]
---@param hx Tensor[]? the first state and cell state, each [layers x directions, batch, size], zeros
---@return Tensor|PackedSequence of the last layer's states
---@return Tensor[] the last state and cell state of each layer
function LSTM:forward(x, hx)
  local f = fields(self)
  local weights = weights_of(f)
  local input, batch_sizes, sorted, unsorted, batch, single = prepare(f, x, "LSTM")
  local layers = f.bidirectional and 2 * f.num_layers or f.num_layers
  local size = f.proj_size > 0 and f.proj_size or f.hidden_size
  local h, c
  if hx == nil then
    h, c = input:new_zeros(layers, batch, size), input:new_zeros(layers, batch, f.hidden_size)
  else
    h, c = both_parts(hx, single, not batch_sizes)
    h, c = permuted(h, sorted), permuted(c, sorted)
  end
  check_input(f, input, batch_sizes)
  check_hidden(h, layers, batch, size, "Expected hidden[0] size %s, got %s")
  check_hidden(c, layers, batch, f.hidden_size, "Expected hidden[1] size %s, got %s")
  local state = {h, c}
  if batch_sizes then
    local output, next_h, next_c = lstm(input, batch_sizes, state, weights, f.bias, f.num_layers, f.dropout, self.training,
      f.bidirectional)
    return pack(output, batch_sizes, sorted, unsorted), {permuted(next_h, unsorted), permuted(next_c, unsorted)}
  end
  local output, next_h, next_c = lstm(input, state, weights, f.bias, f.num_layers, f.dropout, self.training, f.bidirectional,
    f.batch_first)
  if single then return output:squeeze(single), {next_h:squeeze(1), next_c:squeeze(1)} end
  return output, {next_h, next_c}
end

return LSTM
