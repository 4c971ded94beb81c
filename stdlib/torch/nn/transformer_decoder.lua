-- nn.TransformerDecoder: layers one after the other.
local causal = require "torch.nn.causal"
local layer = require "torch.nn.transformer_layer"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"

local fields <const>, children_of <const> = native.fields, native.children_of

---@class TransformerDecoder : Module
local TransformerDecoder = module.class("TransformerDecoder")
local parse = signature("nn.TransformerDecoder", "decoder_layer, num_layers, norm=nil")

---@param decoder_layer TransformerDecoderLayer each layer is a copy of it
---@param num_layers integer
---@param norm Module? after the last layer, nil
---@example local decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2), 2)
--- decoder(torch.ones(5, 3, 4), torch.ones(6, 3, 4)).shape  --> torch.Size([5, 3, 4])
---@source torch.nn.TransformerDecoder
function TransformerDecoder:__init(...)
  local of, count, norm = parse(...)
  self.layers = layer.clones(of, count)
  self.num_layers, self.norm = count, norm
end

local parse_call = signature("TransformerDecoder", "tgt, memory, tgt_mask=nil, memory_mask=nil, "
  .. "tgt_key_padding_mask=nil, memory_key_padding_mask=nil, tgt_is_causal=nil, memory_is_causal=false")

---@param tgt Tensor [target, batch, d_model], [batch, target, d_model] or [target, d_model]
---@param memory Tensor of the encoder, as tgt, of source length
---@param tgt_mask Tensor? [target, target] or [batch x heads, target, target], nil
---@param memory_mask Tensor? [target, source] or [batch x heads, target, source], nil
---@param tgt_key_padding_mask Tensor? [batch, target], nil
---@param memory_key_padding_mask Tensor? [batch, source], nil
---@param tgt_is_causal boolean? tgt_mask is the causal one; nil looks, nil
---@param memory_is_causal boolean memory_mask is the causal one, false
---@return Tensor of tgt's shape
function TransformerDecoder:forward(...)
  local x, memory, tgt_mask, memory_mask, tgt_padding, memory_padding, tgt_causal, memory_causal = parse_call(...)
  local f = fields(self)
  local layers = children_of(f.layers)
  tgt_causal = causal.detect(tgt_mask, tgt_causal, causal.length_of(x, layers[1].self_attn.batch_first))
  for i = 1, #layers do
    x = layers[i](x, memory, tgt_mask, memory_mask, tgt_padding, memory_padding, tgt_causal, memory_causal)
  end
  if f.norm then x = f.norm(x) end
  return x
end

return TransformerDecoder
