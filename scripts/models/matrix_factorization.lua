-- Matrix factorisation for recommendations: a score is the product of two vectors and three offsets. Gradients are
-- sparse: a step touches the rows of its batch alone, however many users and items there are.
local torch = require "torch"
local nn = torch.nn

local MatrixFactorization = nn.class("MatrixFactorization")

--- mean: of all known scores, what is said about nobody's nothing.
function MatrixFactorization:__init(users, items, width, mean)
  self.user = nn.Embedding(users, width, {sparse = true})
  self.item = nn.Embedding(items, width, {sparse = true})
  self.user_offset = nn.Embedding(users, 1, {sparse = true})
  self.item_offset = nn.Embedding(items, 1, {sparse = true})
  self.mean = mean
  nn.init.normal_(self.user.weight, 0, 0.1)
  nn.init.normal_(self.item.weight, 0, 0.1)
  nn.init.zeros_(self.user_offset.weight)
  nn.init.zeros_(self.item_offset.weight)
end

--- users, items: [batch], integers; returns the scores [batch].
function MatrixFactorization:forward(users, items)
  local product = (self.user(users) * self.item(items)):sum(1)
  return product + self.user_offset(users):squeeze(1) + self.item_offset(items):squeeze(1) + self.mean
end

--- The `count` best items of one user, without those in `known` (a tensor of items); scores and items.
function MatrixFactorization:recommend(user, count, known)
  local _ <close> = torch.no_grad()
  local scores = self.item.weight:matmul(self.user.weight[user]) + self.item_offset.weight:squeeze(1)
    + self.user_offset.weight[user] + self.mean
  if known then scores = scores:index_fill(0, known, -math.huge) end
  return scores:topk(count)
end

return MatrixFactorization
