-- train.metrics.HitRate: how many queries have something relevant among the first k items.
local ranking = require "train.metrics.ranking"
local torch = require "torch"

local HitRate = ranking.class("HitRate", function(self, rows)
  local found, all = ranking.relevant(self, rows)
  return ranking.sum(rows, found):gt(0):to(torch.float64), all:eq(0)
end)

local make = ranking.constructor(HitRate, {}, {})

---The hit rate: the share of queries that have a relevant item (target above 0) among the first top_k. Equal scores stay in
---the order in which they were given.
---@param arguments? table top_k: all items by default; empty_target_action = "neg" | "pos" | "skip" | "error": what a query
---without anything relevant has: 0, 1, no part in the mean, an error; ignore_index: the target of items that do not count
---@return table metric
---@example local hits = train.metrics.HitRate{top_k = 1}
--- hits:update(torch.tensor{{0.9, 0.1}, {0.2, 0.8}}, torch.tensor{{1, 0}, {1, 0}})
--- hits:result()  --> 0.5
return function(arguments) return make(arguments) end
