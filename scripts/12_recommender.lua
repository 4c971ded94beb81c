-- Who would say what: matrix factorisation with sparse gradients. By default, how members of the United States House
-- voted on 16 questions of 1984, and how they would have where they did not; MovieLens' files can be read as well.
--
--   trainhost scripts/12_recommender.lua [--set file=ml-100k/u.data --set width=16]
local host = require "host"
local torch = require "torch"
local train = require "train"
local MatrixFactorization = require "models.matrix_factorization"
local read = require "data.read"
local F, data = torch.nn.functional, torch.utils.data

local file = host.param("file", "", {doc = "lines user, item, score, or a table; without one, data/votes.csv"})
local width = host.param("width", 2, {min = 1, doc = "numbers that describe a user, and an item"})
local epochs = host.param("epochs", 60, {min = 1})
local batch_size = host.param("batch_size", 128, {min = 1})
local lr = host.param("lr", 0.005, {min = 0})
local best_of = host.param("best_of", 3, {min = 1, doc = "items to recommend"})
local seed = host.param("seed", 1)

torch.manual_seed(seed)
local users, items, known = read.scores(file)
read.at_least(file, "votes.csv", #known, 10, "scores")
local columns = torch.tensor(known, {dtype = torch.float32})[torch.randperm(#known)]
local user_of, item_of, score = columns["...,0"]:to(torch.int64), columns["...,1"]:to(torch.int64), columns["...,2"]
local test_count = #known // 10
local function part(from, count)
  return user_of:narrow(0, from, count), item_of:narrow(0, from, count), score:narrow(0, from, count)
end
local fit_set = data.TensorDataset(part(2 * test_count, #known - 2 * test_count))
local valid_set, test_set = data.TensorDataset(part(0, test_count)), data.TensorDataset(part(test_count, test_count))
local _, fit_items, fit_scores = part(2 * test_count, #known - 2 * test_count)
local mean = fit_scores:mean():item()
print(("%d users, %d items, %d scores known (%.1f %%), %.3f in the mean"):format(#users, #items, #known,
  100 * #known / (#users * #items), mean))

local model = MatrixFactorization(#users, #items, width, mean)
local function score_loss(state, batch) return F.mse_loss(state.model(batch[1], batch[2]), batch[3]) end

train.fit {
  model = model, optimizer = torch.optim.SparseAdam(model:parameters(), {lr = lr}), epochs = epochs, step = score_loss,
  train = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 4096}),
  callbacks = {train.EarlyStopping {monitor = "val_loss", patience = 5, restore_best_weights = true}},
}

-- Against saying the mean of the item each time.
local counts = torch.bincount(fit_items, nil, #items):clamp(1)
local item_means = torch.bincount(fit_items, fit_scores - mean, #items) / counts + mean
local tested = test_set.tensors
local _ <close> = torch.no_grad()
local said, plain, truth = model(tested[1], tested[2]), item_means[tested[2]], tested[3]
print(("test: error (RMSE) %.3f, of the items' means %.3f"):format(F.mse_loss(said, truth):sqrt():item(),
  F.mse_loss(plain, truth):sqrt():item()))
if truth:eq(0):logical_or(truth:eq(1)):all():item() then  -- yes or no
  local function right(x) return 100 * x:round():eq(truth):to(torch.float32):mean():item() end
  print(("test: %.1f %% right, by the items' means %.1f %%"):format(right(said), right(plain)))
end

-- For those of whom something is unknown: what they would like best of it.
local seen, shown = {}, 0
for i = 0, #users - 1 do seen[i] = {} end
for _, each in ipairs(known) do table.insert(seen[each[1]], each[2]) end
for i = 0, #users - 1 do
  local open = #items - #seen[i]
  if open > 0 and #seen[i] > 0 and shown < 3 then
    shown = shown + 1
    local scores, best = model:recommend(i, math.min(best_of, open), torch.tensor(seen[i]))
    local line = {}
    for k, item in ipairs(best:tolist()) do line[k] = ("%s (%.2f)"):format(items[item + 1], scores[k - 1]:item()) end
    print(("%s: %s"):format(users[i + 1], table.concat(line, ", ")))
  end
end
