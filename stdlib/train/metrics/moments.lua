-- Weighted means and co-moments of variables, one set for each output, that are joined without cancellation.
--
-- Note [Moments about the first row]
-- All is measured from the first row that was seen: numbers far from 0 lose nothing, and a variable that never changes
-- has moments of exactly 0. Batches and metrics are joined as Chan, Golub and LeVeque do ("Updating Formulae and a
-- Pairwise Algorithm for Computing Sample Variances", 1979).
local sums = require "train.metrics.sums"
local torch = require "torch"

local moments = {}

moments.FIELDS = {"rows", "weight", "shift", "mean", "scatter"}

-- 0 divided by 0 is 0: nothing was there.
local function ratio(part, whole)
  if type(whole) == "number" then return whole == 0 and 0 or part / whole end
  return part / torch.where(whole:eq(0), 1.0, whole)
end

---The moments of a batch.
---@param variables Tensor[] each [n, outputs]
---@param weight? Tensor [n, 1]
---@param shift? Tensor [outputs, variables, 1] where to measure from; the first row by default
---@return table {rows, weight, shift, mean = [outputs, variables, 1], scatter = [outputs, variables, variables]}
function moments.of(variables, weight, shift)
  for i, variable in ipairs(variables) do variables[i] = variable:to(torch.float64):t() end
  local values = torch.stack(variables, 1)
  local rows = values:size(2)
  shift = shift or values:narrow(2, 0, 1):clone()
  values = values - shift
  local total, weighted = rows, values
  if weight then
    weight = weight:reshape({1, 1, -1})
    total, weighted = weight:sum(), values * weight
  end
  local mean = ratio(weighted:sum(2, true), total)
  local centered = values - mean
  local scatter = torch.matmul(weight and centered * weight or centered, centered:transpose(1, 2))
  return {rows = rows, weight = total, shift = shift, mean = mean, scatter = scatter}
end

---Joins b to a, which is changed.
---@param self table the metric, for errors
---@param a table
---@param b table
function moments.join(self, a, b)
  if b.rows == nil or b.rows == 0 then return end
  if a.rows == nil then
    for _, field in ipairs(moments.FIELDS) do a[field] = b[field] end
  else
    sums.check_outputs(self, a.mean, b.mean)
    local device = a.mean.device
    local weight = type(b.weight) == "userdata" and b.weight:to(device) or b.weight
    local total = a.weight + weight
    local distance = b.mean:to(device) + (b.shift:to(device) - a.shift) - a.mean
    local part = ratio(weight, total)
    a.mean = a.mean + distance * part
    a.scatter = a.scatter + b.scatter:to(device) + torch.matmul(distance, distance:transpose(1, 2)) * (part * a.weight)
    a.weight, a.rows = total, a.rows + b.rows
  end
  local keep = require("native.tensor").keep
  for _, field in ipairs(moments.FIELDS) do
    if type(a[field]) == "userdata" then keep(a[field]) end
  end
end

---Adds a batch to the sums of a metric.
---@param self table
---@param variables Tensor[]
---@param weight? Tensor
function moments.add(self, variables, weight)
  local held = self.sums
  if held.shift then sums.check_outputs(self, held.shift, variables[1]:t()) end
  moments.join(self, held, moments.of(variables, weight, held.shift))
end

---The correlation of two variables.
---@param scatter number[][] their co-moments
---@return number correlation -1 to 1, NaN where it is not defined
---@return boolean constant whether one of them never changes
function moments.correlation(scatter)
  local xx, xy, yy = scatter[1][1], scatter[1][2], scatter[2][2]
  local value = xy / (math.sqrt(xx) * math.sqrt(yy))
  return value == value and math.max(-1.0, math.min(1.0, value)) or value, xx == 0 or yy == 0
end

return moments
