-- train.metrics.SpearmanCorrCoef: the correlation of the ranks of predictions and targets.
local keywords = require "host.keywords"
local kept = require "train.metrics.kept"
local moments = require "train.metrics.moments"
local regression = require "train.metrics.regression"
local sums = require "train.metrics.sums"
local torch = require "torch"
local undefined = require "train.metrics.undefined"

local NAME <const> = "train.metrics.SpearmanCorrCoef"

local SpearmanCorrCoef = kept.class("SpearmanCorrCoef", {"predictions", "targets"}, {}, "max")

---Adds values.
---@param pred Tensor [n] or [n, outputs]
---@param target Tensor of the same shape
---@param weight? Tensor [n]: how often the row counts
function SpearmanCorrCoef:update(pred, target, weight)
  local x, y, w = regression.columns(self, pred, target, weight)
  kept.append(self, {x:to(pred.dtype), y:to(target.dtype), w and w:reshape(-1)})
end

-- The ranks of one column [n], in float64; equal values share the mean of theirs. A row of weight w takes w places.
local function ranks(column, weight)
  local values, order = column:sort({dim = 0, stable = true})
  local n = #column
  weight = weight and weight:index_select(0, order) or torch.ones({n}, {dtype = torch.float64, device = column.device})
  local changes = torch.zeros({n}, {dtype = torch.int64, device = column.device})
  changes:narrow(0, 1, n - 1):copy_(values:narrow(0, 1, n - 1):ne(values:narrow(0, 0, n - 1)))
  local group = changes:cumsum(0)
  local total = torch.zeros_like(weight):scatter_add(0, group, weight)  -- of each group of equal values
  local middle = (total:cumsum(0) - total / 2):index_select(0, group)
  return torch.empty_like(middle):scatter_(0, order, middle)
end

---The correlation so far, -1 to 1; NaN where predictions or targets never change or hold NaN; a list of one number an
---output with multioutput = "raw_values".
---@return number|number[]
function SpearmanCorrCoef:result()
  local rows = kept.all(self)
  if not rows then return undefined(self, "there are no values") end
  local pred, target, weight = rows[1], rows[2], rows[3]
  local values, constant = {}, false
  for output = 0, pred:size(1) - 1 do
    local x, y = pred:select(1, output), target:select(1, output)
    local scatter = moments.of({ranks(x, weight):unsqueeze(1), ranks(y, weight):unsqueeze(1)}, weight and weight:unsqueeze(1)).scatter
    local nan = x:ne(x):logical_or(y:ne(y))
    if weight then nan = nan:logical_and(weight:ne(0)) end
    if nan:any():item() then
      values[output + 1] = 0 / 0
    else
      local still
      values[output + 1], still = moments.correlation(sums.read(scatter)[1])
      constant = constant or still
    end
  end
  if constant then undefined(self, "predictions or targets never change") end
  return regression.combine(self, values)
end

---Spearman's rank correlation, equal to scipy.stats.spearmanr: equal values share the mean of their ranks. It keeps every
---value, on its device, until reset: 8 bytes a row and output in float32.
---@param arguments? table multioutput = "uniform_average" | "raw_values" | list of weights; num_outputs: how many there are,
---so that raw values have a log each
---@return table metric
---@example local spearman = train.metrics.Spearman()
--- spearman:update(torch.tensor{0.1, 0.2, 0.7}, torch.tensor{1.0, 5.0, 100.0})
--- spearman:result()  --> 1.0
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {multioutput = "uniform_average", num_outputs = keywords.none}),
    SpearmanCorrCoef)
  regression.check(NAME, self)
  self._options = "none"
  self:reset()
  return self
end
