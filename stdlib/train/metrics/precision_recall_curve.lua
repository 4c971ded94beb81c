-- train.metrics.PrecisionRecallCurve: precision and recall at all thresholds.
local classes = require "train.metrics.classes"
local curves = require "train.metrics.curves"

local PrecisionRecallCurve = require "train.metrics.scores"("PrecisionRecallCurve")

local function curve(self, sums)
  local torch = require "torch"
  local tps, fps, thresholds = sums.tps, sums.fps, sums.thresholds
  if self.drop_intermediate and tps:size(0) > 2 then
    local kept = curves.corners({tps}, function(x)
      local step, inner = torch.diff(x):ne(0), x:size(0) - 2
      return step:narrow(0, 0, inner) | step:narrow(0, 1, inner)
    end)
    tps, fps, thresholds = tps[kept], fps[kept], thresholds[kept]
  end
  local all, yes = tps + fps, tps:select(0, -1)
  if yes:item() <= 0 then classes.warn(self, "there is no yes: the recall is NaN") end
  local precision, recall = torch.where(all:eq(0), 0.0, tps / all), tps / yes
  local one = tps:new_ones(1)
  return torch.cat {precision:flip({0}), one}, torch.cat {recall:flip({0}), one - 1}, thresholds:flip({0})
end

---The curve so far, from the lowest threshold up; of several classes or labels a list of each.
---@return table curve {precision = Tensor, recall = Tensor, thresholds = Tensor}; the last point, 1 and 0, has no threshold
function PrecisionRecallCurve:result() return curves.result(self, {"precision", "recall", "thresholds"}, curve) end

---Precision and recall at all thresholds, as scikit-learn's precision_recall_curve. Scores are kept until reset, on their
---device, as for AUC; with `bins` sums alone. train.fit logs no number of it: read `result()` in a callback.
---@param arguments? table drop_intermediate = false: without points that lie between others; bins, which wants probabilities;
---from_logits = false; num_classes; ignore_index; one_hot = false; average = "binary": yes and no of any shape
---@return table metric
---@example local curve = train.metrics.PrecisionRecallCurve()
--- curve:update(torch.tensor {0.1, 0.4, 0.35, 0.8}, torch.tensor {0, 0, 1, 1})
--- curve:result().recall:tolist()  --> {1.0, 1.0, 0.5, 0.5, 0.0}
return function(arguments)
  local self = curves.new(PrecisionRecallCurve, arguments,
    {drop_intermediate = false, average = require("host.keywords").none}, {"binary"})
  require("train.options").check("train.metrics.PrecisionRecallCurve", self, {drop_intermediate = "flag"})
  self.parts = {}
  return self
end
