-- How the translator is trained by the parity test and the benchmark; translator.py line by line.
local torch = require "torch"
local Translator = require "models.translator"
local F = torch.nn.functional

return function(c)
  local net = Translator {source_words = c.words, target_words = c.words, width = c.width, heads = c.heads,
    layers = c.layers, dropout = 0.1, max_length = c.length + 1}
  local optimizer = torch.optim.AdamW(net:parameters(), {lr = 1e-3, betas = {0.9, 0.98}})
  local source = torch.randint(4, c.words, {c.batch, c.length})
  local target = torch.randint(4, c.words, {c.batch, c.length + 1})
  source:narrow(0, 0, 1):narrow(1, c.length - 2, 2):fill_(0)  -- shorter than the others
  target:narrow(0, 0, 1):narrow(1, c.length - 1, 2):fill_(0)

  local function loss()
    local logits = net(source, target["..., :-1"])
    return F.cross_entropy(logits:flatten(0, 1), target["..., 1:"]:flatten(), {ignore_index = 0, label_smoothing = 0.1})
  end

  return {modules = {net}, optimizer = optimizer, loss = loss, clip_norm = 1.0, samples = c.batch * c.length}
end
