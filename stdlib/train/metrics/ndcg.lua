-- train.metrics.NDCG: how near rankings come to the best one, the normalized discounted cumulative gain.
local ranking = require "train.metrics.ranking"
local torch = require "torch"

-- Equal scores share the mean of their gains, as if all their orders had been averaged.
local function shared(rows, score, gain)
  local n = #score
  if n == 0 then return gain end
  local changes = torch.zeros({n}, {dtype = torch.int64, device = score.device})
  local function differs(x) return x:narrow(0, 1, n - 1):ne(x:narrow(0, 0, n - 1)) end
  changes:narrow(0, 1, n - 1):copy_(differs(score):logical_or(differs(rows.query)))
  local group = changes:cumsum(0)
  local total = torch.zeros_like(gain):scatter_add(0, group, gain)
  local count = torch.zeros_like(gain):scatter_add(0, group, torch.ones_like(gain))
  return (total / count):index_select(0, group)
end

local NDCG = ranking.class("NDCG", function(self, rows)
  local discount = ranking.among_first(self, rows) / (rows.place + 2):to(torch.float64):log2()
  local order = ranking.order(rows, rows.score)
  local gain = rows.target:index_select(0, order)
  if not self.ignore_ties then gain = shared(rows, rows.score:index_select(0, order), gain) end
  local best = ranking.sum(rows, rows.target:index_select(0, ranking.order(rows, rows.target)) * discount)
  local empty = best:eq(0)
  return ranking.sum(rows, gain * discount) / best:masked_fill(empty, 1), empty
end)

local make = ranking.constructor(NDCG, {ignore_ties = false}, {ignore_ties = "flag"})

---The normalized discounted cumulative gain of rankings, equal to scikit-learn's ndcg_score: gains are the targets, an item
---at place i counts 1 / log2(i + 1), equal scores share their places' discounts.
---@param arguments? table top_k: places that count, all by default; ignore_ties = false: true leaves equal scores in the order
---in which they were given; empty_target_action = "neg" | "pos" | "skip" | "error": what a query
---without anything relevant has: 0, 1, no part in the mean, an error; ignore_index: the target of items that do not count
---@return table metric
---@example local ndcg = train.metrics.NDCG{top_k = 4}
--- ndcg:update(torch.tensor{{0.1, 0.2, 0.3, 4.0, 70.0}}, torch.tensor{{10.0, 0.0, 0.0, 1.0, 5.0}})
--- ("%.4f"):format(ndcg:result())  --> 0.4124
return function(arguments) return make(arguments) end
