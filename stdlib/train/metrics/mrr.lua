-- train.metrics.MRR: the mean reciprocal rank, how early the first relevant item comes.
local ranking = require "train.metrics.ranking"
local torch = require "torch"

local MRR = ranking.class("MRR", function(self, rows)
  local found, all = ranking.relevant(self, rows)
  return ranking.greatest(rows, found / (rows.place + 1):to(torch.float64)), all:eq(0)
end)

local make = ranking.constructor(MRR, {}, {})

---The mean reciprocal rank: 1 / place of each query's first relevant item (target above 0), 0 if it is not among the first
---top_k. Equal scores stay in the order in which they were given.
---@param arguments? table top_k: places that count, all by default; empty_target_action = "neg" | "pos" | "skip" | "error": what a query
---without anything relevant has: 0, 1, no part in the mean, an error; ignore_index: the target of items that do not count
---@return table metric
---@example local mrr = train.metrics.MRR()
--- mrr:update(torch.tensor{{0.2, 0.9, 0.5}, {0.7, 0.2, 0.1}}, torch.tensor{{0, 0, 1}, {1, 0, 0}})
--- mrr:result()  --> 0.75
return function(arguments) return make(arguments) end
