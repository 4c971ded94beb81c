-- An LSTM learns Shakespeare's sonnets character by character, its state carried through the text, and writes on.
--
--   trainhost scripts/10_char_lstm.lua [--set epochs=20] [--set file=book.txt] [--set temperature=0.7]
local host = require "host"
local torch = require "torch"
local train = require "train"
local CharLSTM = require "models.char_lstm"
local read = require "data.read"
local F = torch.nn.functional

local file = host.param("file", "", {doc = "a text; without one, data/sonnets.txt"})
local hidden_size = host.param("hidden_size", 192, {min = 1})
local layers = host.param("layers", 2, {min = 1})
local dropout = host.param("dropout", 0.2, {min = 0, max = 1})
local epochs = host.param("epochs", 20, {min = 1})
local batch_size = host.param("batch_size", 16, {min = 1, doc = "pieces of the text that are read side by side"})
local length = host.param("length", 64, {min = 1, doc = "characters between two steps of the optimizer"})
local lr = host.param("lr", 4e-3, {min = 0})
local temperature = host.param("temperature", 0.7, {min = 0, doc = "below 1 likely characters become likelier; 0: greedy"})
local count = host.param("count", 400, {min = 1, doc = "characters to write"})
local limit = host.param("limit", 0, {min = 0, doc = "characters of the text to read, for a quick try; 0 reads all"})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local ids, characters, encode, decode = read.characters(file)
if limit > 0 then ids = ids:narrow(0, 0, math.min(limit, #ids)) end
local fit_count = #ids * 9 // 10
read.at_least(file, "sonnets.txt", #ids, 10 * (batch_size + 1), "characters (10 * (batch_size + 1))")
print(("%d characters, %d of them different; the last tenth is for validation"):format(#ids, #characters))

-- Row r of batch k goes on where row r of batch k - 1 ended.
local function batches_of(part)
  local width = (#part - 1) // batch_size
  local x = part:narrow(0, 0, batch_size * width):view(batch_size, width)
  local y = part:narrow(0, 1, batch_size * width):view(batch_size, width)
  local list = {}
  for from = 0, width - 1, length do
    local size = math.min(length, width - from)
    list[#list + 1] = {x:narrow(1, from, size), y:narrow(1, from, size)}
  end
  return list
end

local model = CharLSTM(#characters, hidden_size, layers, dropout)
local optimizer = torch.optim.AdamW(model:parameters(), {lr = lr})
local carried  -- the state at the end of the last batch

local function forget() carried = nil end

local history = train.fit {
  model = model, optimizer = optimizer, epochs = epochs, clip_grad_norm = 1,
  train = batches_of(ids:narrow(0, 0, fit_count)),
  valid = batches_of(ids:narrow(0, fit_count, #ids - fit_count)),
  step = function(state, batch)
    local logits, after = state.model(batch[1], carried)
    carried = {after[1]:detach(), after[2]:detach()}  -- gradients end where the batch began
    return F.cross_entropy(logits:flatten(0, 1), batch[2]:flatten())
  end,
  scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
  callbacks = {
    train.on("epoch_begin", forget), train.on("valid_begin", forget),
    train.EarlyStopping {monitor = "val_loss", patience = 4, restore_best_weights = true},
  },
}

print(decode(model:generate(encode("\n"):unsqueeze(0), count, temperature)[0]))
local best = math.min(table.unpack(history.val_loss))
print(("validation: %.3f nats, %.3f bits a character"):format(best, best / math.log(2)))
