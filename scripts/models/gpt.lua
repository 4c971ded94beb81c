-- GPT: a decoder-only Transformer of nanoGPT's layout, with generation and a cache of keys and values.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local Attention = nn.class("CausalSelfAttention")

function Attention:__init(config)
  if config.n_embd % config.n_head ~= 0 then
    error(("GPT: n_embd must be divisible by n_head, got n_embd = %d and n_head = %d"):format(config.n_embd, config.n_head), 0)
  end
  self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, config.bias)
  self.c_proj = nn.Linear(config.n_embd, config.n_embd, config.bias)
  self.resid_dropout = nn.Dropout(config.dropout)
  self.n_head, self.n_embd, self.dropout = config.n_head, config.n_embd, config.dropout
end

-- cache: of this layer, {k, v} of [batch, heads, block_size, width], filled up to `past`.
function Attention:forward(x, cache, past)
  local batch, length, width = x:size(0), x:size(1), self.n_embd
  local parts = self.c_attn(x):split(width, 2)
  local heads = self.n_head
  local function of_heads(part) return part:view(batch, length, heads, width // heads):transpose(1, 2) end
  local q, k, v = of_heads(parts[1]), of_heads(parts[2]), of_heads(parts[3])
  local mask
  if cache then
    cache.k:narrow(2, past, length):copy_(k)
    cache.v:narrow(2, past, length):copy_(v)
    if past > 0 then
      k, v = cache.k:narrow(2, 0, past + length), cache.v:narrow(2, 0, past + length)
      if length > 1 then mask = torch.ones(length, past + length, {dtype = torch.bool, device = x.device}):tril(past) end
    end
  end
  local causal = length > 1 and mask == nil
  local y = F.scaled_dot_product_attention(q, k, v, mask, self.training and self.dropout or 0, causal)
  return self.resid_dropout(self.c_proj(y:transpose(1, 2):contiguous():view(batch, length, width)))
end

local MLP = nn.class("MLP")

function MLP:__init(config)
  self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, config.bias)
  self.gelu = nn.GELU()
  self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, config.bias)
  self.dropout = nn.Dropout(config.dropout)
end

function MLP:forward(x) return self.dropout(self.c_proj(self.gelu(self.c_fc(x)))) end

local Block = nn.class("Block")

function Block:__init(config)
  self.ln_1 = nn.LayerNorm(config.n_embd, {bias = config.bias})
  self.attn = Attention(config)
  self.ln_2 = nn.LayerNorm(config.n_embd, {bias = config.bias})
  self.mlp = MLP(config)
end

function Block:forward(x, cache, past)
  x = x + self.attn(self.ln_1(x), cache, past)
  return x + self.mlp(self.ln_2(x))
end

local GPT = nn.class("GPT")

--- config: vocab_size, block_size, n_layer, n_head, n_embd, dropout, bias.
function GPT:__init(config)
  local blocks = {}
  self.config = config
  self.transformer = nn.ModuleDict()
  self.transformer.wte = nn.Embedding(config.vocab_size, config.n_embd)
  self.transformer.wpe = nn.Embedding(config.block_size, config.n_embd)
  self.transformer.drop = nn.Dropout(config.dropout)
  for i = 1, config.n_layer do blocks[i] = Block(config) end
  self.transformer.h = nn.ModuleList(blocks)
  self.transformer.ln_f = nn.LayerNorm(config.n_embd, {bias = config.bias})
  self.lm_head = nn.Linear(config.n_embd, config.vocab_size, false)
  self.transformer.wte.weight = self.lm_head.weight  -- one table reads and writes
  self:apply(function(m)
    if m:is_instance(nn.Linear) or m:is_instance(nn.Embedding) then nn.init.normal_(m.weight, 0, 0.02) end
    if m:is_instance(nn.Linear) and m.bias then nn.init.zeros_(m.bias) end
  end)
  for name, p in self:named_parameters() do
    if name:find("c_proj.weight", 1, true) then nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * config.n_layer)) end
  end
end

--- ids: [batch, length]; the logits of every position, [batch, length, vocab_size].
function GPT:forward(ids, cache) return self.lm_head(self:features(ids, cache)) end

--- What the head reads. With a cache, `ids` come after what it holds.
function GPT:features(ids, cache)
  local parts, length, past = self.transformer, ids:size(1), cache and cache.length or 0
  assert(past + length <= self.config.block_size, "longer than the block")
  local places = torch.arange(past, past + length, {device = ids.device})
  local x = parts.drop(parts.wte(ids) + parts.wpe(places))
  for i, block in parts.h:iter() do x = block(x, cache and cache[i], past) end
  if cache then cache.length = past + length end
  return parts.ln_f(x)
end

--- An empty cache for `batch` sequences of up to block_size.
function GPT:new_cache(batch)
  local c, like = self.config, self.lm_head.weight
  local cache = {length = 0}
  for i = 0, c.n_layer - 1 do
    local shape = {batch, c.n_head, c.block_size, c.n_embd // c.n_head}
    cache[i] = {k = like:new_zeros(shape), v = like:new_zeros(shape)}
  end
  return cache
end

--- Two groups: matrices decay, vectors do not.
function GPT:parameter_groups(weight_decay)
  local decayed, free = {}, {}
  for _, p in ipairs(self:parameters()) do
    local group = p:dim() >= 2 and decayed or free
    group[#group + 1] = p
  end
  return {{params = decayed, weight_decay = weight_decay}, {params = free, weight_decay = 0}}
end

local function draw(logits, temperature, top_k)
  if temperature == 0 then return logits:argmax(-1, true) end
  logits = logits / temperature
  if top_k and top_k < logits:size(-1) then
    local least = logits:topk(top_k)["..., -1:"]
    logits = logits:masked_fill(logits:lt(least), -math.huge)
  end
  return torch.multinomial(F.softmax(logits, -1), 1)
end

--- Continues ids [batch, length] by `count` tokens. options: temperature = 1 (0 takes the likeliest), top_k,
--- cache = true. Past block_size, the window moves on and is read anew for each token.
function GPT:generate(ids, count, options)
  local _ <close> = torch.no_grad()
  local was_training, block = self.training, self.config.block_size
  self:eval()
  local cache = options.cache ~= false and self:new_cache(ids:size(0)) or nil
  local fresh = ids
  for _ = 1, count do
    if cache and ids:size(1) > block then cache = nil end
    if not cache then fresh = ids:narrow(1, math.max(0, ids:size(1) - block), math.min(block, ids:size(1))) end
    local logits = self.lm_head(self:features(fresh, cache):select(1, -1))
    fresh = draw(logits, options.temperature or 1, options.top_k)
    ids = torch.cat({ids, fresh}, 1)
  end
  self:train(was_training)
  return ids
end

return GPT
