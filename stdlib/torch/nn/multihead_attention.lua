-- nn.MultiheadAttention: attention by several heads (Vaswani 2017).
local allocate = require "torch.nn.allocate"
local attention = require "torch.nn.functional.attention"
local autograd = require "native.autograd"
local backends = require "torch.backends"
local init = require "torch.nn.initializers"
local linear = require "torch.nn.linear"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local fields <const>, additive <const> = native.fields, attention.additive
local attend <const> = attention.multi_head_attention_forward
local native_attend <const> = ops.find_any "aten::_native_multi_head_attention"

---@class MultiheadAttention : Module
local MultiheadAttention = module.class("MultiheadAttention")
local parse = require "torch.nn.typed"(
  signature("nn.MultiheadAttention", "embed_dim, num_heads, dropout=0.0, bias=true, add_bias_kv=false, "
  .. "add_zero_attn=false, kdim=nil, vdim=nil, batch_first=false, device=nil, dtype=nil"),
  "nn.MultiheadAttention", "embed_dim: integer, num_heads: integer, dropout: number, bias: flag, add_bias_kv: flag, "
  .. "add_zero_attn: flag, kdim: size?, vdim: size?, batch_first: flag")

---@param embed_dim integer features of the query and of the result, divisible by num_heads
---@param num_heads integer
---@param dropout number of the attention weights, when training, 0.0
---@param bias boolean the projections add a vector, true
---@param add_bias_kv boolean one more key and value, learned, false
---@param add_zero_attn boolean one more key and value of zeros, false
---@param kdim integer? features of the key, embed_dim
---@param vdim integer? features of the value, embed_dim
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example local x = torch.ones(5, 2, 4)
--- local out, weights = nn.MultiheadAttention(4, 2)(x, x, x)
--- weights.shape  --> torch.Size([2, 5, 5])
---@source torch.nn.MultiheadAttention
function MultiheadAttention:__init(...)
  local embed_dim, heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first, device, dtype = parse(...)
  if embed_dim <= 0 or heads <= 0 then
    vm.raise("usage", ("embed_dim and num_heads must be greater than 0, got embed_dim=%d and num_heads=%d instead"):format(
      embed_dim, heads))
  end
  self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, heads, dropout, batch_first
  self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
  self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
  self.head_dim = embed_dim // heads
  if self.head_dim * heads ~= embed_dim then vm.raise("usage", "embed_dim must be divisible by num_heads") end
  local function parameter(...) return allocate.parameter({...}, device, dtype) end
  if self._qkv_same_embed_dim then
    self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
    for _, name in ipairs {"q", "k", "v"} do self:register_parameter(name .. "_proj_weight", nil) end
  else
    self.q_proj_weight = parameter(embed_dim, embed_dim)
    self.k_proj_weight = parameter(embed_dim, self.kdim)
    self.v_proj_weight = parameter(embed_dim, self.vdim)
    self:register_parameter("in_proj_weight", nil)
  end
  self:register_parameter("in_proj_bias", bias and parameter(3 * embed_dim) or nil)
  self.out_proj = linear.NonDynamicallyQuantizableLinear(embed_dim, embed_dim, {bias = bias, device = device, dtype = dtype})
  if add_bias_kv then
    self.bias_k = parameter(1, 1, embed_dim)
    self.bias_v = parameter(1, 1, embed_dim)
  end
  self.add_zero_attn = add_zero_attn
  self:_reset_parameters()
end

function MultiheadAttention:_reset_parameters()
  if self._qkv_same_embed_dim then
    init.xavier_uniform_(self.in_proj_weight)
  else
    for _, name in ipairs {"q", "k", "v"} do init.xavier_uniform_(self[name .. "_proj_weight"]) end
  end
  if self.in_proj_bias ~= nil then
    init.constant_(self.in_proj_bias, 0.0)
    init.constant_(self.out_proj.bias, 0.0)
  end
  if self.bias_k ~= nil then init.xavier_normal_(self.bias_k) end
  if self.bias_v ~= nil then init.xavier_normal_(self.bias_v) end
end

--- One mask of both, as the kernels without gradient take it, and its type.
---@param attn_mask Tensor? [length, length] or [batch x heads, length, length]
---@param key_padding_mask Tensor? [batch, length]
---@param query Tensor [batch, length, embed_dim]
---@return Tensor? mask
---@return integer? type 1 for a padding mask, 2 for all else
---@example local attention = nn.MultiheadAttention(4, 2)
--- attention:merge_masks(torch.zeros(3, 3), nil, torch.ones(5, 3, 4)).shape  --> torch.Size([5, 2, 3, 3])
function MultiheadAttention:merge_masks(attn_mask, key_padding_mask, query)
  if attn_mask == nil then return key_padding_mask, key_padding_mask and 1 or nil end
  local batch, length = query:size(0), query:size(1)
  local merged
  if attn_mask:dim() == 3 then merged = attn_mask:view({batch, -1, length, length})
  else merged = attn_mask:view({1, 1, length, length}):expand(batch, self.num_heads, -1, -1) end
  if key_padding_mask ~= nil then
    merged = merged + key_padding_mask:view({batch, 1, 1, length}):expand(-1, self.num_heads, -1, -1)
  end
  return merged, 2
end

-- Note [Attention without gradient]
-- In evaluation without gradients PyTorch takes one kernel for the whole layer; so does this, under its conditions,
-- and the numbers are the same. Why the kernel cannot be taken, or nil.
local function why_not(self, f, query, key, value, attn_mask, key_padding_mask)
  if self.training then return "training is enabled" end
  if (attn_mask and attn_mask:is_floating_point()) or (key_padding_mask and key_padding_mask:is_floating_point()) then
    return "floating-point masks are not supported for fast path."
  end
  local weight, bias, out = f.in_proj_weight, f.in_proj_bias, f.out_proj
  if not backends.mha.get_fastpath_enabled() then return "torch.backends.mha.get_fastpath_enabled() was not True" end
  if query:dim() ~= 3 then return ("input not batched; expected query.dim() of 3 but got %d"):format(query:dim()) end
  if query ~= key or key ~= value then
    return "non-self attention was used (query, key, and value are not the same Tensor)"
  end
  if weight == nil then return "in_proj_weight was None" end
  if bias == nil or out.bias == nil then return "in_proj_bias was None" end
  if query.dtype ~= weight.dtype or query.dtype ~= bias.dtype then
    return ("dtypes of query (%s) and self.in_proj_weight (%s) don't match"):format(query.dtype, weight.dtype)
  end
  if f.num_heads % 2 ~= 0 then return "self.num_heads is not even" end
  if not f.batch_first then return "batch_first was not True" end
  if f.bias_k ~= nil or f.bias_v ~= nil then return "self.bias_k was not None" end
  if f.add_zero_attn then return "add_zero_attn was enabled" end
  if query.is_nested and (key_padding_mask ~= nil or attn_mask ~= nil) then
    return "supplying both src_key_padding_mask and src_mask at the same time is not supported with NestedTensor input"
  end
  if torch.is_autocast_enabled() then return "autocast is enabled" end
  if autograd.is_grad_enabled() and (query.requires_grad or weight.requires_grad or bias.requires_grad
    or out.weight.requires_grad or out.bias.requires_grad) then
    return "grad is enabled and at least one of query or the input/output projection weights or biases requires_grad"
  end
  return nil
end

-- Batch and length change places; the same tensors stay the same.
local function length_first(query, key, value)
  local same_key, same_value = query == key, key == value
  query = query:transpose(1, 0)
  key = same_key and query or key:transpose(1, 0)
  return query, key, same_value and key or value:transpose(1, 0)
end

local parse_call = signature("MultiheadAttention", "query, key, value, key_padding_mask=nil, need_weights=true, "
  .. "attn_mask=nil, average_attn_weights=true, is_causal=false")

---@param query Tensor [target, batch, embed_dim], [batch, target, embed_dim] or [target, embed_dim]
---@param key Tensor as the query, of source length and kdim features
---@param value Tensor as the key, of vdim features
---@param key_padding_mask Tensor? [batch, source] or [source], true or -inf where a key does not count, nil
---@param need_weights boolean also gives the attention weights, true
---@param attn_mask Tensor? [target, source] or [batch x heads, target, source], nil
---@param average_attn_weights boolean over the heads, true
---@param is_causal boolean attn_mask is the causal one, false
---@return Tensor of the query's shape
---@return Tensor? weights [batch, target, source], or [batch, heads, target, source]
function MultiheadAttention:forward(...)
  local query, key, value, key_padding_mask, need_weights, attn_mask, average, is_causal = parse_call(...)
  local f = fields(self)
  local reason = why_not(self, f, query, key, value, attn_mask, key_padding_mask)
  key_padding_mask = additive(key_padding_mask, "key_padding_mask", query.dtype, attn_mask and attn_mask.dtype, "attn_mask")
  attn_mask = additive(attn_mask, "attn_mask", query.dtype)
  local out = f.out_proj
  if reason == nil then
    local merged, kind = self:merge_masks(attn_mask, key_padding_mask, query)
    local output, weights = native_attend(query, key, value, f.embed_dim, f.num_heads, f.in_proj_weight, f.in_proj_bias,
      out.weight, out.bias, merged, need_weights, average, kind)
    if not need_weights then weights = nil end
    return output, weights
  end
  if query.is_nested or key.is_nested or value.is_nested then
    vm.raise("usage", "MultiheadAttention does not support NestedTensor outside of its fast path. The fast path was not "
      .. "hit because " .. reason)
  end
  local swap = f.batch_first and query:dim() == 3
  if swap then query, key, value = length_first(query, key, value) end
  local output, weights = attend(query, key, value, f.embed_dim, f.num_heads, f.in_proj_weight, f.in_proj_bias, f.bias_k,
    f.bias_v, f.add_zero_attn, f.dropout, out.weight, out.bias, self.training, key_padding_mask, need_weights, attn_mask,
    not f._qkv_same_embed_dim, f.q_proj_weight, f.k_proj_weight, f.v_proj_weight, nil, nil, average, is_causal)
  return swap and output:transpose(1, 0) or output, weights
end

return MultiheadAttention
