-- How the character model is trained by the parity test and the benchmark; char_lstm.py line by line.
local torch = require "torch"
local CharLSTM = require "models.char_lstm"
local F = torch.nn.functional

return function(c)
  local net = CharLSTM(c.vocab_size, c.hidden_size, c.layers, 0.2)
  local optimizer = torch.optim.AdamW(net:parameters(), {lr = 4e-3})
  local x, y = torch.randint(0, c.vocab_size, {c.batch, c.length}), torch.randint(0, c.vocab_size, {c.batch, c.length})
  local carried

  local function loss()
    local logits, after = net(x, carried)
    carried = {after[1]:detach(), after[2]:detach()}
    return F.cross_entropy(logits:flatten(0, 1), y:flatten())
  end

  return {modules = {net}, optimizer = optimizer, loss = loss, clip_norm = 1.0, samples = c.batch * c.length}
end
