-- train.metrics.ROCCurve: the rates of true and of false yes at all thresholds.
local classes = require "train.metrics.classes"
local curves = require "train.metrics.curves"

local ROCCurve = require "train.metrics.scores"("ROCCurve")

local function rate(self, sums, what)
  local all = sums:select(0, -1)
  if all:item() <= 0 then classes.warn(self, ("there is no %s: its rate is NaN"):format(what)) end
  return sums / all  -- 0 / 0 is NaN
end

local function curve(self, sums)
  local torch = require "torch"
  local tps, fps, thresholds = sums.tps, sums.fps, sums.thresholds
  if self.drop_intermediate and tps:size(0) > 2 then
    local kept = curves.corners({fps, tps}, function(x) return torch.diff(x, 2) end)
    tps, fps, thresholds = tps[kept], fps[kept], thresholds[kept]
  end
  local zero = tps:new_zeros(1)
  return rate(self, torch.cat {zero, fps}, "no"), rate(self, torch.cat {zero, tps}, "yes"),
    torch.cat {zero + math.huge, thresholds}
end

---The curve so far, from the highest threshold down; of several classes or labels a list of each.
---@return table curve {fpr = Tensor, tpr = Tensor, thresholds = Tensor}; the first threshold is inf
function ROCCurve:result() return curves.result(self, {"fpr", "tpr", "thresholds"}, curve) end

---The rates of true and of false yes at all thresholds, as scikit-learn's roc_curve. Scores are kept until reset, on their
---device, as for AUC; with `bins` sums alone. train.fit logs no number of it: read `result()` in a callback.
---@param arguments? table drop_intermediate = true: without points that lie between others; bins, which wants probabilities;
---from_logits = false; num_classes; ignore_index; one_hot = false; average = "binary": yes and no of any shape
---@return table metric
---@example local roc = train.metrics.ROCCurve()
--- roc:update(torch.tensor {0.1, 0.4, 0.35, 0.8}, torch.tensor {0, 0, 1, 1})
--- roc:result().tpr:tolist()  --> {0.0, 0.5, 0.5, 1.0, 1.0}
--- roc:result().fpr:tolist()  --> {0.0, 0.0, 0.5, 0.5, 1.0}
return function(arguments)
  local self = curves.new(ROCCurve, arguments, {drop_intermediate = true, average = require("host.keywords").none}, {"binary"})
  require("train.options").check("train.metrics.ROCCurve", self, {drop_intermediate = "flag"})
  self.parts = {}
  return self
end
