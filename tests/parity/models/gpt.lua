-- How the GPT is trained by the parity test and the benchmark; gpt.py line by line.
local torch = require "torch"
local GPT = require "models.gpt"
local F = torch.nn.functional

return function(c)
  local net = GPT {vocab_size = c.vocab_size, block_size = c.block_size, n_layer = c.n_layer, n_head = c.n_head,
    n_embd = c.n_embd, dropout = 0.1, bias = c.bias}
  local optimizer = torch.optim.AdamW(net:parameter_groups(0.1), {lr = 1e-3, betas = {0.9, 0.99}})
  local x = torch.randint(0, c.vocab_size, {c.batch, c.block_size})
  local y = torch.randint(0, c.vocab_size, {c.batch, c.block_size})

  local function loss() return F.cross_entropy(net(x):flatten(0, 1), y:flatten()) end

  return {modules = {net}, optimizer = optimizer, loss = loss, clip_norm = 1.0, samples = c.batch * c.block_size}
end
