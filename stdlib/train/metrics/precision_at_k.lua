-- train.metrics.PrecisionAtK: how much of the first k items is relevant.
local ranking = require "train.metrics.ranking"
local torch = require "torch"

local PrecisionAtK = ranking.class("PrecisionAtK", function(self, rows)
  local found, all = ranking.relevant(self, rows)
  local places = self.top_k
  if not places or self.adaptive_k then
    places = ranking.sum(rows, torch.ones_like(found)):clamp_min(1)
    if self.top_k then places = places:clamp_max(self.top_k) end
  end
  return ranking.sum(rows, found) / places, all:eq(0)
end)

local make = ranking.constructor(PrecisionAtK, {adaptive_k = false}, {adaptive_k = "flag"})

---Precision@k: the share of relevant items (target above 0) among the first top_k, the mean over queries. Equal scores stay in
---the order in which they were given.
---@param arguments? table top_k: all items by default; adaptive_k = false: true divides by the number of items where there are
---fewer than top_k; empty_target_action = "neg" | "pos" | "skip" | "error": what a query
---without anything relevant has: 0, 1, no part in the mean, an error; ignore_index: the target of items that do not count
---@return table metric
---@example local precision = train.metrics.PrecisionAtK{top_k = 2}
--- precision:update(torch.tensor{{0.9, 0.1, 0.5, 0.3}}, torch.tensor{{1, 1, 0, 1}})
--- precision:result()  --> 0.5
return function(arguments) return make(arguments) end
