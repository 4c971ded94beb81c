-- A small GPT on Shakespeare's sonnets, as nanoGPT trains one on a processor; then it writes, with and without a cache.
--
--   trainhost scripts/11_gpt.lua [--set steps=2000] [--set file=book.txt] [--set temperature=0.8] [--set top_k=20]
local host = require "host"
local torch = require "torch"
local train = require "train"
local GPT = require "models.gpt"
local read = require "data.read"
local F = torch.nn.functional

local file = host.param("file", "", {doc = "a text; without one, data/sonnets.txt"})
local block_size = host.param("block_size", 64, {min = 2, doc = "characters it looks back"})
local n_layer = host.param("n_layer", 4, {min = 1})
local n_head = host.param("n_head", 4, {min = 1})
local n_embd = host.param("n_embd", 128, {min = 1})
local dropout = host.param("dropout", 0.1, {min = 0, max = 1})
local batch_size = host.param("batch_size", 12, {min = 1})
local steps = host.param("steps", 2000, {min = 1})
local warm_up = host.param("warm_up", 100, {min = 0, doc = "steps over which the learning rate rises"})
local lr = host.param("lr", 1e-3, {min = 0})
local weight_decay = host.param("weight_decay", 0.1, {min = 0})
local every = host.param("every", 250, {min = 1, doc = "steps between two validations"})
local count = host.param("count", 400, {min = 1, doc = "characters to write"})
local temperature = host.param("temperature", 0.8, {min = 0, doc = "below 1 likely characters become likelier"})
local top_k = host.param("top_k", 20, {min = 1, doc = "only the likeliest are drawn from"})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local ids, characters, encode, decode = read.characters(file)
local fit_count = #ids * 9 // 10
read.at_least(file, "sonnets.txt", #ids, 10 * (block_size + 1), "characters (10 * (block_size + 1))")
local window = torch.arange(block_size)

-- Endless batches of windows from anywhere in the text: x, and y one character later.
local function batches(part)
  return function()
    return function()
      local places = torch.randint(0, #part - block_size, {batch_size, 1}) + window
      return {part[places], part[places + 1]}
    end
  end
end

local function list_of(part, n)
  local list, next_batch = {}, batches(part)()
  for i = 1, n do list[i] = next_batch() end
  return list
end

local model = GPT {
  vocab_size = #characters, block_size = block_size, n_layer = n_layer, n_head = n_head, n_embd = n_embd, dropout = dropout,
  bias = false,
}
local optimizer = torch.optim.AdamW(model:parameter_groups(weight_decay), {lr = lr, betas = {0.9, 0.99}})
local scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, function(step)  -- up, then down a cosine to a tenth
  if step < warm_up then return (step + 1) / (warm_up + 1) end
  return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm_up) / math.max(1, steps - warm_up)))
end)
local parameters = 0
for _, p in ipairs(model:parameters()) do parameters = parameters + p:numel() end
print(("%d characters, %d of them different; %d parameters"):format(#ids, #characters, parameters))

train.fit {
  model = model, optimizer = optimizer, max_steps = steps, clip_grad_norm = 1, limit_train_batches = every,
  scheduler = {scheduler, interval = "step"},
  loss = function(logits, y) return F.cross_entropy(logits:flatten(0, 1), y:flatten()) end,
  train = batches(ids:narrow(0, 0, fit_count)),
  valid = list_of(ids:narrow(0, fit_count, #ids - fit_count), 40),
}

-- The same text with and without the cache: the seed is the same, and so are the draws.
local start = encode("\n"):unsqueeze(0)
local function write(n, cache)
  torch.manual_seed(seed)
  local began = os.clock()
  local out = model:generate(start, n, {temperature = temperature, top_k = top_k, cache = cache})
  return out, n / (os.clock() - began)
end
print(decode((write(count))[0]))
local n = math.min(count, block_size - 1)
local with, fast = write(n, true)
local without, slow = write(n, false)
print(("%d characters: %.0f a second of CPU time with the cache, %.0f without; the same: %s"):format(n, fast, slow,
  with:equal(without)))
