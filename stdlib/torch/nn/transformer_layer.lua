-- What the layers of encoders and decoders share: how they are built, their activation and feed-forward part.
local Dropout = require("torch.nn.dropouts").Dropout
local LayerNorm = require("torch.nn.normalization").LayerNorm
local Linear = require("torch.nn.linear").Linear
local MultiheadAttention = require "torch.nn.multihead_attention"
local functional = require "torch.nn.functional"
local vm = require "native.vm"

local layer = {}

layer.SPEC = "d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=nil, layer_norm_eps=1e-5, "
  .. "batch_first=false, norm_first=false, bias=true, device=nil, dtype=nil"
layer.KINDS = "d_model: integer, nhead: integer, dim_feedforward: size, dropout: number, activation: any?, "
  .. "layer_norm_eps: number, batch_first: flag, norm_first: flag, bias: flag"

--- The function that a name stands for, or what was given.
function layer.activation(given)
  if given == nil or given == "relu" then return functional.relu end
  if given == "gelu" then return functional.gelu end
  if type(given) == "string" then
    vm.raise("usage", "activation should be relu/gelu, not " .. given)
  end
  return given
end

--- The parts in PyTorch's order: their parameters are drawn in it.
function layer.build(self, attentions, norms, d_model, heads, width, dropout, eps, batch_first, norm_first, bias, device,
  dtype)
  for _, name in ipairs(attentions) do
    self[name] = MultiheadAttention(d_model, heads,
      {dropout = dropout, bias = bias, batch_first = batch_first, device = device, dtype = dtype})
  end
  self.linear1 = Linear(d_model, width, bias, device, dtype)
  self.dropout = Dropout(dropout)
  self.linear2 = Linear(width, d_model, bias, device, dtype)
  self.norm_first = norm_first
  for i = 1, norms do self["norm" .. i] = LayerNorm(d_model, eps, true, bias, device, dtype) end
  for i = 1, norms do self["dropout" .. i] = Dropout(dropout) end
end

--- The part after attention.
function layer.feed_forward(f, x, last_dropout)
  return last_dropout(f.linear2(f.dropout(f.activation(f.linear1(x)))))
end

--- A copy of the layer for each place.
function layer.clones(of, count)
  local ModuleList = require "torch.nn.module_list"
  local list = {}
  for i = 1, count do list[i] = of:deepcopy() end
  return ModuleList(list)
end


return layer
