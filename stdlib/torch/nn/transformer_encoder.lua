-- nn.TransformerEncoder: layers one after the other.
local attention = require "torch.nn.functional.attention"
local autograd = require "native.autograd"
local backends = require "torch.backends"
local causal = require "torch.nn.causal"
local layer = require "torch.nn.transformer_layer"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local signature = require "torch.signature"
local torch = require "torch"
local warn = require "torch.warn"

local fields <const>, children_of <const>, additive <const> = native.fields, native.children_of, attention.additive
local nested_from_mask <const> = ops.find_any "aten::_nested_tensor_from_mask"
local left_aligned <const> = ops.find_any "aten::_nested_tensor_from_mask_left_aligned"

---@class TransformerEncoder : Module
local TransformerEncoder = module.class("TransformerEncoder")
local parse = signature("nn.TransformerEncoder", "encoder_layer, num_layers, norm=nil, enable_nested_tensor=true, "
  .. "mask_check=true")

-- Why padded batches are not computed as nested tensors, or nil.
local function why_not_nested(of)
  if not (native.is_module(of) and of:is_instance(require "torch.nn.transformer_encoder_layer")) then
    return "encoder_layer was not TransformerEncoderLayer"
  end
  local attn = of.self_attn
  if of.norm_first then return "encoder_layer.norm_first was True" end
  if not attn.batch_first then
    return "encoder_layer.self_attn.batch_first was not True(use batch_first for better inference performance)"
  end
  if not attn._qkv_same_embed_dim then return "encoder_layer.self_attn._qkv_same_embed_dim was not True" end
  if attn.in_proj_bias == nil then return "encoder_layer.self_attn was passed bias=False" end
  if of.activation_relu_or_gelu == 0 then return "encoder_layer.activation_relu_or_gelu was not True" end
  if of.norm1.eps ~= of.norm2.eps then return "encoder_layer.norm1.eps was not equal to encoder_layer.norm2.eps" end
  if attn.num_heads % 2 == 1 then return "encoder_layer.self_attn.num_heads is odd" end
  return nil
end

---@param encoder_layer TransformerEncoderLayer each layer is a copy of it
---@param num_layers integer
---@param norm Module? after the last layer, nil
---@param enable_nested_tensor boolean in evaluation, padded batches are computed without their padding, true
---@param mask_check boolean looks whether the padding is at the end, true
---@example local layer = nn.TransformerEncoderLayer(4, 2, {batch_first = true})
--- nn.TransformerEncoder(layer, 2)(torch.ones(3, 5, 4)).shape  --> torch.Size([3, 5, 4])
---@source torch.nn.TransformerEncoder
function TransformerEncoder:__init(...)
  local of, count, norm, enable_nested_tensor, mask_check = parse(...)
  self.layers = layer.clones(of, count)
  self.num_layers, self.norm = count, norm
  self.enable_nested_tensor, self.use_nested_tensor, self.mask_check = enable_nested_tensor, enable_nested_tensor, mask_check
  local reason = enable_nested_tensor and why_not_nested(of)
  if reason then
    warn("enable_nested_tensor is True, but self.use_nested_tensor is False because " .. reason)
    self.use_nested_tensor = false
  end
end

-- May this padded batch be computed as a nested tensor? PyTorch's conditions.
local function takes_nested(f, first, src, mask, padding_mask)
  if padding_mask == nil or not f.use_nested_tensor or first.training or src:dim() ~= 3 or mask ~= nil then return false end
  if not backends.mha.get_fastpath_enabled() or torch.is_autocast_enabled() then return false end
  if f.mask_check and not left_aligned(src, padding_mask:logical_not()) then return false end
  if not autograd.is_grad_enabled() then return true end
  if src.requires_grad then return false end
  for _, parameter in ipairs(first:parameters()) do
    if parameter.requires_grad then return false end
  end
  return true
end

local parse_call = signature("TransformerEncoder", "src, mask=nil, src_key_padding_mask=nil, is_causal=nil")

---@param src Tensor [length, batch, d_model], [batch, length, d_model] or [length, d_model]
---@param mask Tensor? [length, length] or [batch x heads, length, length], nil
---@param src_key_padding_mask Tensor? [batch, length], nil
---@param is_causal boolean? mask is the causal one; nil looks, nil
---@return Tensor of src's shape
function TransformerEncoder:forward(...)
  local src, mask, padding_mask, is_causal = parse_call(...)
  padding_mask = additive(padding_mask, "src_key_padding_mask", src.dtype, mask and mask.dtype, "mask")
  mask = additive(mask, "mask", src.dtype)
  local f = fields(self)
  local layers = children_of(f.layers)
  local x, first = src, layers[1]
  local nested = takes_nested(f, first, src, mask, padding_mask)
  if nested then
    x = nested_from_mask(x, padding_mask:logical_not(), false)
    padding_mask = nil
  end
  is_causal = causal.detect(mask, is_causal, causal.length_of(src, first.self_attn.batch_first))
  for i = 1, #layers do x = layers[i](x, mask, padding_mask, is_causal) end
  if nested then x = x:to_padded_tensor(0.0, src.shape) end
  if f.norm then x = f.norm(x) end
  return x
end

return TransformerEncoder
