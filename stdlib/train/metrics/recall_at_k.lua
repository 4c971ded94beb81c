-- train.metrics.RecallAtK: how much of what is relevant is among the first k items.
local ranking = require "train.metrics.ranking"

local RecallAtK = ranking.class("RecallAtK", function(self, rows)
  local found, all = ranking.relevant(self, rows)
  local empty = all:eq(0)
  return ranking.sum(rows, found) / all:masked_fill(empty, 1), empty
end)

local make = ranking.constructor(RecallAtK, {}, {})

---Recall@k: the share of a query's relevant items (target above 0) that is among the first top_k, the mean over queries. Equal
---scores stay in the order in which they were given.
---@param arguments? table top_k: all items by default; empty_target_action = "neg" | "pos" | "skip" | "error": what a query
---without anything relevant has: 0, 1, no part in the mean, an error; ignore_index: the target of items that do not count
---@return table metric
---@example local recall = train.metrics.RecallAtK{top_k = 2}
--- recall:update(torch.tensor{{0.9, 0.1, 0.5, 0.3}}, torch.tensor{{1, 1, 0, 0}})
--- recall:result()  --> 0.5
return function(arguments) return make(arguments) end
