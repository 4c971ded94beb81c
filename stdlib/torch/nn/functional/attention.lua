-- Attention with projections, of torch.nn.functional.
local catalog = require "native.ops"
local native = require "native.tensor"
local signature = require "torch.signature"
local vm = require "native.vm"
local warn = require "torch.warn"

local attention = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local linear <const>, pad <const>, cat <const>, bmm <const> = op "linear", op "pad", op "cat", op "bmm"
local baddbmm <const>, softmax <const>, dropout <const> = op "baddbmm", op "softmax", op "dropout"
local zeros <const>, zeros_like <const>, scaled <const> = op "zeros", op "zeros_like", op "scaled_dot_product_attention"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- "(2, 3)", as Python writes a tuple.
local function tuple(...)
  local list = {...}
  return "(" .. table.concat(list, ", ") .. (#list == 1 and ",)" or ")")
end

local function has_shape(x, ...)
  if x:dim() ~= select("#", ...) then return false end
  for i, size in ipairs {...} do
    if x:size(i - 1) ~= size then return false end
  end
  return true
end

-- Are query, key, value and the masks all with a batch, or all without one?
local function is_batched(query, key, value, key_padding_mask, attn_mask, heads)
  local dims = query:dim()
  if dims ~= 2 and dims ~= 3 then
    fail("query should be unbatched 2D or batched 3D tensor but received %d-D query tensor", dims)
  end
  local batched = dims == 3
  local start = batched and "For batched (3-D) `query`, expected " or "For unbatched (2-D) `query`, expected "
  if key:dim() ~= dims or value:dim() ~= dims then
    fail("%s`key` and `value` to be %d-D but found %d-D and %d-D tensors respectively", start, dims, key:dim(), value:dim())
  end
  if key_padding_mask ~= nil and key_padding_mask:dim() ~= dims - 1 then
    fail("%s`key_padding_mask` to be `None` or %d-D but found %d-D tensor instead", start, dims - 1, key_padding_mask:dim())
  end
  if attn_mask ~= nil then
    local mask_dims = attn_mask:dim()
    if mask_dims ~= 2 and mask_dims ~= 3 then
      fail("%s`attn_mask` to be `None`, 2-D or 3-D but found %d-D tensor instead", start, mask_dims)
    end
    if not batched and mask_dims == 3 and not has_shape(attn_mask, heads, query:size(0), key:size(0)) then
      fail("Expected `attn_mask` shape to be %s but got %s", tuple(heads, query:size(0), key:size(0)),
        tostring(attn_mask.shape))
    end
  end
  return batched
end

--- A mask to be added: a boolean one is minus infinity where it is true.
---@param mask Tensor?
---@param name string what errors and warnings call it
---@param dtype dtype of the result of a boolean mask
---@param other dtype? of the mask that is given beside it
---@param other_name string? what warnings call that
---@return Tensor?
function attention.additive(mask, name, dtype, other, other_name)
  if mask == nil then return nil end
  if mask.dtype ~= native.bool and not mask:is_floating_point() then
    fail("only bool and floating types of %s are supported", name)
  end
  if other ~= nil and mask.dtype ~= other then
    warn(("Support for mismatched %s and %s is deprecated. Use same type for both instead."):format(name, other_name))
  end
  if mask:is_floating_point() then return mask end
  return zeros_like(mask, {dtype = dtype}):masked_fill_(mask, -math.huge)
end
local additive <const> = attention.additive

-- Projections by one weight of three parts; what is the same tensor is projected at once.
local function project_packed(q, k, v, weight, bias)
  local size = q:size(-1)
  if k == v and q == k then
    local all = linear(q, weight, bias):unflatten(-1, {3, size}):unsqueeze(0):transpose(0, -2):squeeze(-2):contiguous()
    return all[0], all[1], all[2]
  end
  if k == v then
    local of_q, of_kv = table.unpack(weight:split({size, size * 2}))
    local bias_q, bias_kv
    if bias ~= nil then bias_q, bias_kv = table.unpack(bias:split({size, size * 2})) end
    local projected = linear(q, of_q, bias_q)
    local both = linear(k, of_kv, bias_kv):unflatten(-1, {2, size}):unsqueeze(0):transpose(0, -2):squeeze(-2):contiguous()
    return projected, both[0], both[1]
  end
  local of_q, of_k, of_v = table.unpack(weight:chunk(3))
  local bias_q, bias_k, bias_v
  if bias ~= nil then bias_q, bias_k, bias_v = table.unpack(bias:chunk(3)) end
  return linear(q, of_q, bias_q), linear(k, of_k, bias_k), linear(v, of_v, bias_v)
end

-- Projections by a weight each.
local function project(q, k, v, of_q, of_k, of_v, bias)
  local size = q:size(-1)
  local bias_q, bias_k, bias_v
  if bias ~= nil then bias_q, bias_k, bias_v = table.unpack(bias:chunk(3)) end
  for _, part in ipairs {{"query", of_q, q, bias_q}, {"key", of_k, k, bias_k}, {"value", of_v, v, bias_v}} do
    local name, weight, input, its_bias = table.unpack(part, 1, 4)
    if not has_shape(weight, size, input:size(-1)) then
      fail("expecting %s weights shape of %s, but got %s", name, tuple(size, input:size(-1)), tostring(weight.shape))
    end
    if its_bias ~= nil and not has_shape(its_bias, size) then
      fail("expecting %s bias shape of %s, but got %s", name, tuple(size), tostring(its_bias.shape))
    end
  end
  return linear(q, of_q, bias_q), linear(k, of_k, bias_k), linear(v, of_v, bias_v)
end

-- Keys or values by head, [batch x heads, length, head_dim], or the ones that were given.
local function by_head(x, static, name, count, head_dim)
  if static == nil then return x:view(x:size(0), count, head_dim):transpose(0, 1) end
  if static:size(0) ~= count then fail("expecting %s.size(0) of %d, but got %d", name, count, static:size(0)) end
  if static:size(2) ~= head_dim then fail("expecting %s.size(2) of %d, but got %d", name, head_dim, static:size(2)) end
  return static
end

local parse = signature("F.multi_head_attention_forward", "query, key, value, embed_dim_to_check, num_heads, "
  .. "in_proj_weight=nil, in_proj_bias=nil, bias_k=nil, bias_v=nil, add_zero_attn=false, dropout_p=0.0, "
  .. "out_proj_weight=nil, out_proj_bias=nil, training=true, key_padding_mask=nil, need_weights=true, attn_mask=nil, "
  .. "use_separate_proj_weight=false, q_proj_weight=nil, k_proj_weight=nil, v_proj_weight=nil, static_k=nil, "
  .. "static_v=nil, average_attn_weights=true, is_causal=false")

--- Multi-head attention (Vaswani 2017) with its projections, as nn.MultiheadAttention calls it.
---@param query Tensor [target, batch, embed_dim] or without batch
---@param key Tensor [source, batch, key features] or without batch
---@param value Tensor [source, batch, value features] or without batch
---@param embed_dim_to_check integer what query's last size must be
---@param num_heads integer divides embed_dim
---@param in_proj_weight Tensor? [3 embed_dim, embed_dim]
---@param in_proj_bias Tensor? [3 embed_dim]
---@param bias_k Tensor? one more key, [1, 1, embed_dim]
---@param bias_v Tensor? one more value
---@param add_zero_attn boolean adds a key and value of zeros
---@param dropout_p number of the attention weights, when training
---@param out_proj_weight Tensor [embed_dim, embed_dim]
---@param out_proj_bias Tensor? [embed_dim]
---@param training boolean true
---@param key_padding_mask Tensor? [batch, source], true or -inf where a key does not count
---@param need_weights boolean also gives the weights, true
---@param attn_mask Tensor? [target, source] or [batch x heads, target, source]
---@param use_separate_proj_weight boolean takes the three weights that follow, false
---@param q_proj_weight Tensor? [embed_dim, embed_dim]
---@param k_proj_weight Tensor? [embed_dim, key features]
---@param v_proj_weight Tensor? [embed_dim, value features]
---@param static_k Tensor? keys by head, in place of the projected ones
---@param static_v Tensor? values by head
---@param average_attn_weights boolean over the heads, true
---@param is_causal boolean attn_mask is the causal one, false
---@return Tensor [target, batch, embed_dim] or without batch
---@return Tensor? weights [batch, target, source], or with heads
---@example local x, eye = torch.ones(3, 1, 2), torch.eye(2)
--- local output, weights = F.multi_head_attention_forward(x, x, x, 2, 1, torch.cat({eye, eye, eye}), nil, nil, nil, false,
---   0.0, eye, nil)
--- output.shape  --> torch.Size([3, 1, 2])
--- weights.shape  --> torch.Size([1, 3, 3])
---@source torch.nn.functional.multi_head_attention_forward
function attention.multi_head_attention_forward(...)
  local query, key, value, embed_dim_to_check, heads, in_weight, in_bias, bias_k, bias_v, add_zero, dropout_p, out_weight,
    out_bias, training, key_padding_mask, need_weights, attn_mask, separate, q_weight, k_weight, v_weight, static_k,
    static_v, average, is_causal = parse(...)
  local batched = is_batched(query, key, value, key_padding_mask, attn_mask, heads)
  if not batched then
    -- As in PyTorch these are three tensors from here on, each with its own projection.
    query, key, value = query:unsqueeze(1), key:unsqueeze(1), value:unsqueeze(1)
    key_padding_mask = key_padding_mask and key_padding_mask:unsqueeze(0)
  end
  local target, batch, embed_dim = query:size(0), query:size(1), query:size(2)
  local source = key:size(0)
  key_padding_mask = additive(key_padding_mask, "key_padding_mask", query.dtype, attn_mask and attn_mask.dtype,
    "attn_mask")
  if is_causal and attn_mask == nil then
    fail("Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
      .. "`generate_square_subsequent_mask` to create this mask.")
  end
  if is_causal and key_padding_mask == nil and not need_weights then
    attn_mask = nil
  else
    attn_mask = additive(attn_mask, "attn_mask", query.dtype)
    if key_padding_mask ~= nil then is_causal = false end
  end
  if embed_dim ~= embed_dim_to_check then
    fail("was expecting embedding dimension of %d, but got %d", embed_dim_to_check, embed_dim)
  end
  local head_dim = embed_dim // heads
  if head_dim * heads ~= embed_dim then fail("embed_dim %d not divisible by num_heads %d", embed_dim, heads) end
  if separate then
    if key:size(0) ~= value:size(0) or key:size(1) ~= value:size(1) then
      fail("key's sequence and batch dims torch.Size([%d, %d]) do not match value's torch.Size([%d, %d])", key:size(0),
        key:size(1), value:size(0), value:size(1))
    end
  elseif key ~= value and not has_shape(key, table.unpack(value.shape)) then
    fail("key shape %s does not match value shape %s", tostring(key.shape), tostring(value.shape))
  end

  local q, k, v
  if separate then
    for name, weight in pairs {q = q_weight or false, k = k_weight or false, v = v_weight or false} do
      if not weight then fail("use_separate_proj_weight is True but %s_proj_weight is None", name) end
    end
    q, k, v = project(query, key, value, q_weight, k_weight, v_weight, in_bias)
  else
    if in_weight == nil then fail "use_separate_proj_weight is False but in_proj_weight is None" end
    q, k, v = project_packed(query, key, value, in_weight, in_bias)
  end

  if attn_mask ~= nil then
    if attn_mask:dim() == 2 then
      if not has_shape(attn_mask, target, source) then
        fail("The shape of the 2D attn_mask is %s, but should be %s.", tostring(attn_mask.shape), tuple(target, source))
      end
      attn_mask = attn_mask:unsqueeze(0)
    elseif not has_shape(attn_mask, batch * heads, target, source) then
      fail("The shape of the 3D attn_mask is %s, but should be %s.", tostring(attn_mask.shape),
        tuple(batch * heads, target, source))
    end
  end

  local function one_more_key()
    attn_mask = attn_mask and pad(attn_mask, {0, 1})
    key_padding_mask = key_padding_mask and pad(key_padding_mask, {0, 1})
  end
  if bias_k ~= nil and bias_v ~= nil then
    if static_k ~= nil then fail "bias cannot be added to static key." end
    if static_v ~= nil then fail "bias cannot be added to static value." end
    k, v = cat({k, bias_k:rep(1, batch, 1)}), cat({v, bias_v:rep(1, batch, 1)})
    one_more_key()
  elseif bias_k ~= nil then fail "bias_k is set but bias_v is None"
  elseif bias_v ~= nil then fail "bias_v is set but bias_k is None"
  end

  local count = batch * heads
  q = q:view(target, count, head_dim):transpose(0, 1)
  k = by_head(k, static_k, "static_k", count, head_dim)
  v = by_head(v, static_v, "static_v", count, head_dim)
  if add_zero then
    k = cat({k, zeros({count, 1, head_dim}, {dtype = k.dtype, device = k.device})}, 1)
    v = cat({v, zeros({count, 1, head_dim}, {dtype = v.dtype, device = v.device})}, 1)
    one_more_key()
  end
  source = k:size(1)
  if key_padding_mask ~= nil then
    if key_padding_mask:size(0) ~= batch then
      fail("Expected key_padded_mask.shape[0] to be %d, but got %d", batch, key_padding_mask:size(0))
    end
    if key_padding_mask:size(1) ~= source then
      fail("Expected key_padded_mask.shape[1] to be %d, but got %d", source, key_padding_mask:size(1))
    end
    key_padding_mask = key_padding_mask:view(batch, 1, 1, source):expand(-1, heads, -1, -1)
      :reshape(count, 1, source)
    attn_mask = attn_mask and attn_mask + key_padding_mask or key_padding_mask
  end
  if not training then dropout_p = 0.0 end

  local output, weights
  if need_weights then
    if is_causal and attn_mask == nil then fail "FIXME: is_causal not implemented for need_weights" end
    q = q * math.sqrt(1.0 / q:size(-1))
    k = k:transpose(-2, -1)
    weights = softmax(attn_mask and baddbmm(attn_mask, q, k) or bmm(q, k), -1)
    if dropout_p > 0.0 then weights = dropout(weights, dropout_p, true) end
    output = linear(bmm(weights, v):transpose(0, 1):reshape(target * batch, embed_dim), out_weight, out_bias)
    weights = weights:view(batch, heads, target, source)
    if average then weights = weights:mean(1) end
  else
    if attn_mask ~= nil then
      attn_mask = attn_mask:size(0) == 1 and attn_mask:unsqueeze(0) or attn_mask:view(batch, heads, -1, source)
    end
    output = scaled(q:view(batch, heads, target, head_dim), k:view(batch, heads, source, head_dim),
      v:view(batch, heads, source, head_dim), attn_mask, dropout_p, is_causal)
    output = linear(output:permute(2, 0, 1, 3):reshape(batch * target, embed_dim), out_weight, out_bias)
  end
  output = output:view(target, batch, output:size(1))
  if not batched then
    output = output:squeeze(1)
    weights = weights and weights:squeeze(0)
  end
  return output, weights
end

return attention
