-- nn.TransformerDecoderLayer: self-attention, attention to the encoder's memory, and a feed-forward part.
local layer = require "torch.nn.transformer_layer"
local make = require "torch.nn.layer"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const>, feed_forward <const> = native.fields, layer.feed_forward

---@class TransformerDecoderLayer : Module
local TransformerDecoderLayer, parse = make("TransformerDecoderLayer", layer.SPEC, layer.KINDS)

---@param d_model integer features
---@param nhead integer heads of the attention
---@param dim_feedforward integer width of the feed-forward part, 2048
---@param dropout number 0.1
---@param activation string|function|Module 'relu', 'gelu' or one's own, 'relu'
---@param layer_norm_eps number 1e-5
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param norm_first boolean normalizes before attention and feed-forward part, not after them, false
---@param bias boolean linear layers and normalizations add a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local layer = nn.TransformerDecoderLayer(4, 2)
--- layer(torch.ones(5, 3, 4), torch.ones(6, 3, 4)).shape  --> torch.Size([5, 3, 4])
---@source torch.nn.TransformerDecoderLayer
function TransformerDecoderLayer:__init(...)
  local d_model, heads, width, dropout, activation, eps, batch_first, norm_first, bias, device, dtype = parse(...)
  layer.build(self, {"self_attn", "multihead_attn"}, 3, d_model, heads, width, dropout, eps, batch_first, norm_first,
    bias, device, dtype)
  self.activation = layer.activation(activation)
end

local function attend(f, x, mask, padding_mask, is_causal)
  return f.dropout1((f.self_attn(x, x, x, padding_mask, false, mask, true, is_causal)))
end

local function attend_memory(f, x, memory, mask, padding_mask, is_causal)
  return f.dropout2((f.multihead_attn(x, memory, memory, padding_mask, false, mask, true, is_causal)))
end

local parse_call = signature("TransformerDecoderLayer", "tgt, memory, tgt_mask=nil, memory_mask=nil, "
  .. "tgt_key_padding_mask=nil, memory_key_padding_mask=nil, tgt_is_causal=false, memory_is_causal=false")

---@param tgt Tensor [target, batch, d_model], [batch, target, d_model] or [target, d_model]
---@param memory Tensor of the encoder, as tgt, of source length
---@param tgt_mask Tensor? [target, target] or [batch x heads, target, target], nil
---@param memory_mask Tensor? [target, source] or [batch x heads, target, source], nil
---@param tgt_key_padding_mask Tensor? [batch, target], nil
---@param memory_key_padding_mask Tensor? [batch, source], nil
---@param tgt_is_causal boolean tgt_mask is the causal one, false
---@param memory_is_causal boolean memory_mask is the causal one, false
---@return Tensor of tgt's shape
function TransformerDecoderLayer:forward(...)
  local tgt, memory, tgt_mask, memory_mask, tgt_padding, memory_padding, tgt_causal, memory_causal = parse_call(...)
  local f = fields(self)
  if f.norm_first then
    local x = tgt + attend(f, f.norm1(tgt), tgt_mask, tgt_padding, tgt_causal)
    x = x + attend_memory(f, f.norm2(x), memory, memory_mask, memory_padding, memory_causal)
    return x + feed_forward(f, f.norm3(x), f.dropout3)
  end
  local x = f.norm1(tgt + attend(f, tgt, tgt_mask, tgt_padding, tgt_causal))
  x = f.norm2(x + attend_memory(f, x, memory, memory_mask, memory_padding, memory_causal))
  return f.norm3(x + feed_forward(f, x, f.dropout3))
end

return TransformerDecoderLayer
