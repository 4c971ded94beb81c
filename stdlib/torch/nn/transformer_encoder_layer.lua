-- nn.TransformerEncoderLayer: self-attention and a feed-forward part.
local attention = require "torch.nn.functional.attention"
local autograd = require "native.autograd"
local backends = require "torch.backends"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.transformer_layer"
local make = require "torch.nn.layer"
local native = require "native.model"
local ops = require "native.ops"
local signature = require "torch.signature"
local torch = require "torch"

local fields <const>, additive <const>, feed_forward <const> = native.fields, attention.additive, layer.feed_forward
local native_layer <const> = ops.find_any "aten::_transformer_encoder_layer_fwd"

---@class TransformerEncoderLayer : Module
local TransformerEncoderLayer, parse = make("TransformerEncoderLayer", layer.SPEC, layer.KINDS)

-- 1 for ReLU, 2 for GELU, 0 for any other.
local function kind_of(activation)
  if activation == functional.relu then return 1 end
  if activation == functional.gelu then return 2 end
  if native.is_module(activation) then
    local name = native.class_of(activation).__name
    return name == "ReLU" and 1 or name == "GELU" and 2 or 0
  end
  return 0
end

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
---@example nn.TransformerEncoderLayer(4, 2)(torch.ones(5, 3, 4)).shape  --> torch.Size([5, 3, 4])
---@source torch.nn.TransformerEncoderLayer
function TransformerEncoderLayer:__init(...)
  local d_model, heads, width, dropout, activation, eps, batch_first, norm_first, bias, device, dtype = parse(...)
  layer.build(self, {"self_attn"}, 2, d_model, heads, width, dropout, eps, batch_first, norm_first, bias, device, dtype)
  activation = layer.activation(activation)
  self.activation_relu_or_gelu = kind_of(activation)
  self.activation = activation
end

local function any_requires_grad(...)
  for i = 1, select("#", ...) do
    if select(i, ...).requires_grad then return true end
  end
  return false
end

local function any_hooked(self)
  for _, part in ipairs(self:modules()) do
    if native.is_hooked(part) then return true end
  end
  return false
end

-- The kernel for the whole layer, under PyTorch's conditions (see Note [Attention without gradient]); nil without them.
local function without_gradient(self, f, src, src_mask, padding_mask)
  if self.training or f.activation_relu_or_gelu == 0 or not backends.mha.get_fastpath_enabled() or src:dim() ~= 3 then
    return nil
  end
  local attn = f.self_attn
  local a = fields(attn)
  if not a.batch_first or a.in_proj_bias == nil or not a._qkv_same_embed_dim or a.num_heads % 2 == 1 then return nil end
  local norm1, norm2, linear1, linear2 = f.norm1, f.norm2, f.linear1, f.linear2
  if norm1.eps ~= norm2.eps or (src.is_nested and (src_mask ~= nil or padding_mask ~= nil)) then return nil end
  if torch.is_autocast_enabled() or any_hooked(self) then return nil end
  local out = a.out_proj
  if autograd.is_grad_enabled() and any_requires_grad(src, a.in_proj_weight, a.in_proj_bias, out.weight, out.bias,
    norm1.weight, norm1.bias, norm2.weight, norm2.bias, linear1.weight, linear1.bias, linear2.weight, linear2.bias) then
    return nil
  end
  local merged, kind = attn:merge_masks(src_mask, padding_mask, src)
  return native_layer(src, a.embed_dim, a.num_heads, a.in_proj_weight, a.in_proj_bias, out.weight, out.bias,
    f.activation_relu_or_gelu == 2, f.norm_first, norm1.eps, norm1.weight, norm1.bias, norm2.weight, norm2.bias,
    linear1.weight, linear1.bias, linear2.weight, linear2.bias, merged, kind)
end

local function attend(f, x, mask, padding_mask, is_causal)
  return f.dropout1((f.self_attn(x, x, x, padding_mask, false, mask, true, is_causal)))
end

local parse_call = signature("TransformerEncoderLayer", "src, src_mask=nil, src_key_padding_mask=nil, is_causal=false")

---@param src Tensor [length, batch, d_model], [batch, length, d_model] or [length, d_model]
---@param src_mask Tensor? [length, length] or [batch x heads, length, length], nil
---@param src_key_padding_mask Tensor? [batch, length], nil
---@param is_causal boolean src_mask is the causal one, false
---@return Tensor of src's shape
function TransformerEncoderLayer:forward(...)
  local src, src_mask, padding_mask, is_causal = parse_call(...)
  padding_mask = additive(padding_mask, "src_key_padding_mask", src.dtype, src_mask and src_mask.dtype, "src_mask")
  src_mask = additive(src_mask, "src_mask", src.dtype)
  local f = fields(self)
  local quick = without_gradient(self, f, src, src_mask, padding_mask)
  if quick ~= nil then return quick end
  if f.norm_first then
    local x = src + attend(f, f.norm1(src), src_mask, padding_mask, is_causal)
    return x + feed_forward(f, f.norm2(x), f.dropout2)
  end
  local x = f.norm1(src + attend(f, src, src_mask, padding_mask, is_causal))
  return f.norm2(x + feed_forward(f, x, f.dropout2))
end

return TransformerEncoderLayer
