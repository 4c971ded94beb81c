-- nn.Transformer: encoder and decoder (Vaswani 2017).
local Decoder = require "torch.nn.transformer_decoder"
local DecoderLayer = require "torch.nn.transformer_decoder_layer"
local Encoder = require "torch.nn.transformer_encoder"
local EncoderLayer = require "torch.nn.transformer_encoder_layer"
local LayerNorm = require("torch.nn.normalization").LayerNorm
local causal = require "torch.nn.causal"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local vm = require "native.vm"

local fields <const> = native.fields

---@class Transformer : Module
local Transformer = module.class("Transformer")
local parse = require "torch.nn.typed"(
  signature("nn.Transformer", "d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, "
  .. "dropout=0.1, activation=nil, custom_encoder=nil, custom_decoder=nil, layer_norm_eps=1e-5, batch_first=false, "
  .. "norm_first=false, bias=true, device=nil, dtype=nil"),
  "nn.Transformer", "d_model: integer, nhead: integer, num_encoder_layers: size, num_decoder_layers: size, "
  .. "dim_feedforward: size, dropout: number")

---@param d_model integer features, 512
---@param nhead integer heads of the attention, 8
---@param num_encoder_layers integer 6
---@param num_decoder_layers integer 6
---@param dim_feedforward integer width of the feed-forward parts, 2048
---@param dropout number 0.1
---@param activation string|function|Module 'relu', 'gelu' or one's own, 'relu'
---@param custom_encoder Module? in place of the encoder, nil
---@param custom_decoder Module? in place of the decoder, nil
---@param layer_norm_eps number 1e-5
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param norm_first boolean normalizes before attention and feed-forward part, not after them, false
---@param bias boolean linear layers and normalizations add a vector, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local model = nn.Transformer(4, 2, 1, 1, 8)
--- model(torch.ones(6, 3, 4), torch.ones(5, 3, 4)).shape  --> torch.Size([5, 3, 4])
---@source torch.nn.Transformer
function Transformer:__init(...)
  local d_model, heads, encoder_layers, decoder_layers, width, dropout, activation, encoder, decoder, eps, batch_first,
    norm_first, bias, device, dtype = parse(...)
  local function norm() return LayerNorm(d_model, eps, true, bias, device, dtype) end
  local function make(Layer, Stack, count)
    local layer = Layer(d_model, heads, width, dropout, activation, eps, batch_first, norm_first, bias, device, dtype)
    local last = norm()
    return Stack(layer, count, last)
  end
  self.encoder = encoder or make(EncoderLayer, Encoder, encoder_layers)
  self.decoder = decoder or make(DecoderLayer, Decoder, decoder_layers)
  for _, parameter in ipairs(self:parameters()) do
    if parameter:dim() > 1 then init.xavier_uniform_(parameter) end
  end
  self.d_model, self.nhead, self.batch_first = d_model, heads, batch_first
end

Transformer.generate_square_subsequent_mask = causal.generate_square_subsequent_mask

local parse_call = signature("Transformer", "src, tgt, src_mask=nil, tgt_mask=nil, memory_mask=nil, "
  .. "src_key_padding_mask=nil, tgt_key_padding_mask=nil, memory_key_padding_mask=nil, src_is_causal=nil, "
  .. "tgt_is_causal=nil, memory_is_causal=false")

---@param src Tensor [source, batch, d_model], [batch, source, d_model] or [source, d_model]
---@param tgt Tensor as src, of target length
---@param src_mask Tensor? [source, source] or [batch x heads, source, source], nil
---@param tgt_mask Tensor? [target, target] or [batch x heads, target, target], nil
---@param memory_mask Tensor? [target, source] or [batch x heads, target, source], nil
---@param src_key_padding_mask Tensor? [batch, source], nil
---@param tgt_key_padding_mask Tensor? [batch, target], nil
---@param memory_key_padding_mask Tensor? [batch, source], nil
---@param src_is_causal boolean? src_mask is the causal one; nil looks, nil
---@param tgt_is_causal boolean? tgt_mask is the causal one; nil looks, nil
---@param memory_is_causal boolean memory_mask is the causal one, false
---@return Tensor of tgt's shape
function Transformer:forward(...)
  local src, tgt, src_mask, tgt_mask, memory_mask, src_padding, tgt_padding, memory_padding, src_causal, tgt_causal,
    memory_causal = parse_call(...)
  local f = fields(self)
  local batch_dim = f.batch_first and 0 or 1
  if src:dim() == 3 and src:size(batch_dim) ~= tgt:size(batch_dim) then
    vm.raise("shape", "the batch number of src and tgt must be equal")
  end
  if src:size(-1) ~= f.d_model or tgt:size(-1) ~= f.d_model then
    vm.raise("shape", "the feature number of src and tgt must be equal to d_model")
  end
  local memory = f.encoder(src, src_mask, src_padding, src_causal)
  return f.decoder(tgt, memory, tgt_mask, memory_mask, tgt_padding, memory_padding, tgt_causal, memory_causal)
end

return Transformer
