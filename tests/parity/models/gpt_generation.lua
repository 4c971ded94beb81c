-- What the GPT writes with its cache, for the benchmark; gpt_generation.py line by line.
local torch = require "torch"
local GPT = require "models.gpt"

return function(c)
  local net = GPT {vocab_size = c.vocab_size, block_size = c.block_size, n_layer = c.n_layer, n_head = c.n_head,
    n_embd = c.n_embd, dropout = 0, bias = false}
  local ids = torch.zeros(1, 1, {dtype = torch.int64})
  local count = c.block_size - 1

  local function step() return net:generate(ids, count, {temperature = 0.8, top_k = 10}) end

  return {modules = {net}, step = step, samples = count}
end
