-- A character model: embedding, stacked LSTM, linear layer; its state is carried from one piece of text to the next.
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local CharLSTM = nn.class("CharLSTM")

function CharLSTM:__init(vocab_size, hidden_size, layers, dropout)
  self.embedding = nn.Embedding(vocab_size, hidden_size)
  self.lstm = nn.LSTM(hidden_size, hidden_size, {num_layers = layers, dropout = dropout, batch_first = true})
  self.dropout = nn.Dropout(dropout)
  self.head = nn.Linear(hidden_size, vocab_size)
end

--- ids: [batch, length]; returns logits [batch, length, vocab_size] and the state to go on from.
function CharLSTM:forward(ids, state)
  local out
  out, state = self.lstm(self.embedding(ids), state)
  return self.head(self.dropout(out)), state
end

--- Reads `ids` [1, length], then draws `count` characters (at a temperature of 0 the likeliest); the state makes each one step.
function CharLSTM:generate(ids, count, temperature)
  local _ <close> = torch.no_grad()
  local was_training = self.training
  self:eval()
  local drawn = {ids}
  local logits, state = self(ids)
  for i = 1, count do
    local last = logits:select(1, -1)
    if temperature == 0 then last = last:argmax(-1, true)
    else last = torch.multinomial(F.softmax(last / temperature, -1), 1) end
    drawn[i + 1] = last
    if i < count then logits, state = self(last, state) end
  end
  self:train(was_training)
  return torch.cat(drawn, 1)
end

return CharLSTM
