-- Curves over all thresholds, and the areas under them, of what train.metrics.scores keeps.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"
local undefined = require "train.metrics.undefined"

local NAN <const> = 0 / 0

local curves = {}

-- Sums of yes and of no at each different score, from the highest down.
local function of_column(column)
  local torch = require "torch"
  local n = column.scores:size(0)
  if n == 0 then return nil end
  local scores, order = column.scores:sort({dim = 0, descending = true, stable = true})
  local yes = column.yes[order]:to(torch.float64)
  local weights = column.weights and column.weights[order]
  local hits = (weights and yes * weights or yes):cumsum(0)
  local misses = 1 - yes
  misses = (weights and misses * weights or misses):cumsum(0)
  local last = torch.ones(1, {dtype = torch.bool, device = hits.device})
  local ends = torch.cat {scores:narrow(0, 1, n - 1):ne(scores:narrow(0, 0, n - 1)), last}
  return {tps = hits[ends], fps = misses[ends], thresholds = scores[ends]:to(torch.float64)}
end

local function of_cells(cells)
  local torch = require "torch"
  local parts = cells:size(0)
  local sums = cells:flip({0}):cumsum(0)
  local thresholds = torch.arange(parts - 1, -1, -1, {dtype = torch.float64, device = cells.device}) / parts
  return {tps = sums:select(1, 1), fps = sums:select(1, 0), thresholds = thresholds}
end

--- The sums of a class or label.
---@param self table of train.metrics.scores
---@param class integer|string "flat": all classes or labels as one
---@param among? fun(targets: Tensor): Tensor
---@return table? sums {tps =, fps =, thresholds =} float64, from the highest threshold down; nil without samples
function curves.sums(self, class, among)
  if self.bins then
    if not self.cells then return nil end
    return of_cells(class == "flat" and self.cells:sum(0) or self.cells:select(0, class))
  end
  if self.size == 0 then return nil end
  local sums = of_column(class == "flat" and self:flat() or self:column(class, among))
  if sums and self.from_logits and self.kind ~= "multiclass" then sums.thresholds = sums.thresholds:sigmoid() end
  return sums
end

local function steps(sum)
  local torch = require "torch"
  return torch.diff(sum, {prepend = sum:new_zeros(1)})
end

--- The area under the ROC curve, ties half: how often a yes has a higher score than a no.
---@param sums table?
---@return number area NaN if one of them is not there
---@return number yes the sum of their weights
function curves.roc_area(sums)
  if not sums then return NAN, 0 end
  local torch = require "torch"
  local tps, fps = sums.tps, sums.fps
  local area = (steps(fps) * (tps - steps(tps) / 2)):sum()
  local yes, no, sum = table.unpack(torch.stack {tps:select(0, -1), fps:select(0, -1), area}:tolist())
  if yes <= 0 or no <= 0 then return NAN, yes end
  return sum / (yes * no), yes
end

--- The mean of the precision over the recall, in steps.
---@param sums table?
---@return number area NaN without yes
---@return number yes the sum of their weights
function curves.precision_area(sums)
  if not sums then return NAN, 0 end
  local torch = require "torch"
  local tps, all = sums.tps, sums.tps + sums.fps
  local area = (steps(tps) * torch.where(all:eq(0), 0.0, tps / all)):sum()
  local yes, sum = table.unpack(torch.stack {tps:select(0, -1), area}:tolist())
  if yes <= 0 then return NAN, yes end
  return sum / yes, yes
end

--- The mean over classes or labels of an area.
---@param self table of train.metrics.scores, with average, labels
---@param area fun(sums: table?): number, number
---@param why string when an area is not defined
---@return number|Tensor
function curves.average(self, area, why)
  classes.confirm(self)
  local average = self.average
  if not self.kind or self.kind == "binary" or average == "micro" then
    local value = area(curves.sums(self, self.kind ~= "binary" and "flat" or 0))
    if value ~= value then undefined(self, why) end
    if average == "none" then
      local torch = require "torch"
      return torch.full({self.num_classes or 0}, NAN, {dtype = torch.float64})
    end
    return value
  end
  local values, sum, total = {}, 0.0, 0.0
  for i = 1, self.labels and #self.labels or self.count do
    local class = self.labels and self.labels[i] or i - 1
    if class >= self.count then
      require("native.vm").raise("usage", ("%s: labels has class %d, there are %d"):format(getmetatable(self).__name, class,
        self.count))
    end
    local value, yes = area(curves.sums(self, class))
    local weight = average == "weighted" and yes or 1
    local dropped = value ~= value and self.kind == "multiclass" and not self.labels
    values[i] = value
    if weight > 0 and not (dropped and average ~= "none") then sum, total = sum + value * weight, total + weight end
    if value ~= value then
      if dropped and average ~= "none" then
        classes.warn(self, ("for class %d %s: it is left out of the mean (labels counts it)"):format(class, why))
      elseif weight > 0 or average == "none" then
        undefined(self, ("for class %d %s"):format(class, why))
      end
    end
  end
  if average == "none" then return require("torch").tensor(values, {dtype = require("torch").float64}) end
  if total == 0 then undefined(self, why) end
  return total == 0 and NAN or sum / total
end

--- A metric of a class of train.metrics.scores.
---@param class table
---@param arguments? table
---@param defaults table the options beside those of all
---@param averages? string[]
---@return table metric
function curves.new(class, arguments, defaults, averages)
  local where = "train.metrics." .. class.__name
  for option, default in pairs {num_classes = keywords.none, from_logits = false, one_hot = false, ignore_index = keywords.none,
    bins = keywords.none} do
    defaults[option] = default
  end
  local self = setmetatable(keywords.check(where, arguments, defaults), class)
  classes.check(where, self, averages)
  require("train.options").check(where, self, {bins = "positive_count"})
  if self.bins and self.bins < 2 then require("native.vm").raise("usage", where .. ": bins must be 2 or more, got " .. self.bins) end
  self:reset()
  return self
end

--- A curve of each class or label, in lists; of yes and no the curve alone.
---@param self table
---@param names string[] what a curve has
---@param curve fun(self, sums: table): Tensor ...
---@return table
function curves.result(self, names, curve)
  classes.confirm(self)
  local torch, result = require "torch", {}
  local function put(class, place)
    local sums = self.kind and curves.sums(self, class)
    local list = sums and {curve(self, sums)} or {}
    if not sums then undefined(self, "no samples") end
    for i, name in ipairs(names) do
      local values = list[i] or torch.zeros(0, {dtype = torch.float64})
      if place then
        result[name] = result[name] or {}
        result[name][place] = values
      else
        result[name] = values
      end
    end
  end
  if not self.kind or self.kind == "binary" then
    put(0)
  else
    for class = 0, self.count - 1 do put(class, class + 1) end
  end
  return result
end

--- Where points do not lie between others.
---@param numbers Tensor[] of the same length
---@param corner fun(x: Tensor): Tensor what is not 0 at a corner, of all but the first and last
---@return Tensor
function curves.corners(numbers, corner)
  local torch, inner = require "torch", nil
  for _, x in ipairs(numbers) do
    local here = corner(x):ne(0)
    inner = inner and inner | here or here
  end
  local edge = torch.ones(1, {dtype = torch.bool, device = inner.device})
  return torch.cat {edge, inner, edge}
end

return curves
