-- What is decided right and wrong, counted by class: the sums behind Precision, F1, ConfusionMatrix and their kin.
--
-- Sums are float64 on the scores' device. Of yes and no, or of labels: [labels, 4] cells, true no, missed, false yes, true
-- yes. Of classes: [3, classes] rows, hits, targets, predictions; or the whole matrix [classes, classes] with `whole`.
local classes = require "train.metrics.classes"
local tensors = require "train.metrics.tensors"

local Counts = {}

-- An option that no two counts may differ in.
local SHARED <const> = {"threshold", "from_logits", "top_k", "ignore_index"}

---Forgets every sample.
function Counts:reset()
  self.kind, self.count, self.cells, self.wrong, self.weighted, self.seen = nil, nil, nil, nil, nil, nil
end

-- n ones on the device, made anew only for a larger batch.
local function ones(self, n, like)
  local list = self._ones
  if not list or list:size(0) < n or list.device ~= like.device then
    local torch = require "torch"
    list = require("native.tensor").keep(torch.ones(n, {dtype = torch.float64, device = like.device}))
    self._ones = list
  end
  return list:size(0) == n and list or list:narrow(0, 0, n)
end

local function begin(self, kind, count, like)
  local torch = require "torch"
  if self.kind and (self.kind ~= kind or self.count ~= count) then
    require("native.vm").raise("shape", ("%s: this batch is %s of %d, those before were %s of %d"):format(
      getmetatable(self).__name, kind, count, self.kind, self.count), "reset() before other data")
  end
  if not self.kind then
    local shape = kind == "multiclass" and {self.whole and count or 3, count} or {kind == "binary" and 1 or count, 4}
    self.kind, self.count = kind, count
    self.cells = torch.zeros(shape, {dtype = torch.float64, device = like.device})
  elseif self.cells.device ~= like.device then  -- after load_state_dict or merge
    self.cells = self.cells:to(like.device)
  end
  local keep = require("native.tensor").keep
  keep(self.cells)
  self._flat, self._rows = keep(self.cells:view(-1)), {}
  for i = 1, kind == "multiclass" and not self.whole and 3 or 0 do self._rows[i] = keep(self._flat:narrow(0, (i - 1) * count, count)) end
  self._device = like.device
end

-- The class of each sample. Among the k best the target's is taken where it is there.
local function decide(self, pred, target)
  if pred:dim() == target:dim() then return pred end
  if self.top_k == 1 then return tensors.best(pred) end
  local _, best = pred:topk(math.min(self.top_k, pred:size(1)), 1)
  local first = best:select(1, 0)
  return first + (target - first) * best:eq(target:unsqueeze(1)):any(1)
end

local function add_classes(self, count, pred, target, weight)
  local source, rows = weight or ones(self, target:size(0), target), self._rows
  if self.whole then
    self._flat:index_add_(0, pred:add(target, {alpha = count}), source)
    return
  end
  local hits = pred:eq(target)
  rows[1]:index_add_(0, target, weight and hits:mul(weight) or hits:double())
  rows[2]:index_add_(0, target, source)
  rows[3]:index_add_(0, pred, source)
end

local function yes_of(self, kind, pred)
  if self.top_k > 1 then
    if kind ~= "multilabel" then
      require("native.vm").raise("usage", getmetatable(self).__name .. ": top_k needs scores of several classes")
    end
    local _, best = pred:topk(math.min(self.top_k, pred:size(1)), 1)
    return require("torch").zeros_like(pred, {dtype = require("torch").bool}):scatter_(1, best, true)
  end
  if not pred:is_floating_point() then
    if pred.dtype ~= require("torch").bool then pred = classes.whole(self, pred, 2, "the predictions hold") end
    return pred
  end
  local threshold = self.threshold
  if self.from_logits then threshold = math.log(threshold / (1 - threshold)) end
  return pred:gt(threshold)
end

-- Which classes were there or were taken, also where they weigh 0: such a one has its part in a mean, as in scikit-learn.
local function see(self, count, counted, ...)
  local torch = require "torch"
  local seen = self.seen
  if not seen then
    seen = torch.zeros(count + 1, {dtype = torch.bool, device = self.cells.device})  -- the last: what does not count
  elseif seen.device ~= self.cells.device then
    seen = seen:to(self.cells.device)
  end
  self.seen = require("native.tensor").keep(seen)
  for _, values in ipairs {...} do
    values = values:to(torch.int64)
    if counted then values = values:masked_fill(~counted, count) end
    seen:index_fill_(0, values:flatten(), true)
  end
end

local function add_labels(self, kind, count, pred, target, weight, counted)
  local yes = yes_of(self, kind, pred)
  if counted ~= nil and kind == "binary" then see(self, count, counted, target, yes) end
  local cells = target:add(yes, {alpha = 2})
  if kind == "multilabel" then
    if not self._labels or self._labels.device ~= cells.device or self._labels:size(0) ~= count then
      local torch = require "torch"
      self._labels = require("native.tensor").keep(torch.arange(0, 4 * count, 4, {device = cells.device}))
    end
    cells = classes.rows(cells, true) + self._labels
    if weight then weight = classes.rows(weight, true) end
  end
  if cells:dim() ~= 1 then cells = cells:flatten() end
  if weight and weight:dim() ~= 1 then weight = weight:flatten() end
  self._flat:index_add_(0, cells, weight or ones(self, cells:size(0), cells))
end

---Adds a batch.
---@param pred Tensor scores: of yes [n, ...] or [n, 1, ...], of classes [n, classes, ...], or of labels [n, labels, ...];
---whole numbers are classes with num_classes, else yes and no
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function Counts:update(pred, target, weight)
  local kind, count
  kind, count, pred, target, weight = classes.layout(self, pred, target, weight)
  local weighted, counted = weight ~= nil, nil
  if weighted and self.rate then counted = self.ignore_index and target:ne(self.ignore_index) or false end
  target, weight = classes.targets(self, target, kind == "multiclass" and count or 2, weight and weight:double())
  if target:numel() == 0 then return end
  if self.kind ~= kind or self.count ~= count or self._device ~= target.device then begin(self, kind, count, target) end
  self.weighted = self.weighted or weighted
  if kind ~= "multiclass" then return add_labels(self, kind, count, pred, target, weight, counted) end
  local chosen = decide(self, pred, target)
  if pred:dim() == target:dim() then chosen = classes.whole(self, chosen, count, "the predictions hold") end
  if counted ~= nil then see(self, count, counted, target, chosen) end
  if chosen:dim() ~= 1 then
    chosen, target, weight = chosen:flatten(), target:flatten(), weight and weight:flatten()
  end
  add_classes(self, count, chosen, target, weight)
end

---Adds what another metric of the same class has seen.
function Counts:merge(other)
  classes.check_merge(self, other, SHARED)
  classes.confirm(other)
  if not other.kind then return end
  begin(self, other.kind, other.count, self.cells or other.cells)
  self.cells:add_(other.cells:to(self.cells.device))
  self.weighted = self.weighted or other.weighted
  if other.seen then
    local seen = other.seen:to(self.cells.device)
    self.seen = require("native.tensor").keep(self.seen and self.seen:logical_or(seen) or seen:clone())
  end
end

---What a checkpoint keeps.
---@return table
function Counts:state_dict()
  classes.confirm(self)
  return {kind = self.kind, count = self.count, weighted = self.weighted, cells = self.cells and self.cells:clone(),
    seen = self.seen and self.seen:clone()}
end

---Goes on where state_dict was taken.
---@param state table
function Counts:load_state_dict(state)
  self:reset()
  if not state.kind then return end
  local keep = require("native.tensor").keep
  self.cells = keep(state.cells:clone())
  if state.seen then self.seen = keep(state.seen:clone()) end
  self.weighted, self._device = state.weighted, nil
  self.kind, self.count = state.kind, state.count
end

-- {tp, fp, fn, tn} of one class or label, of what was seen of it.
local function quad(tn, fn, fp, tp) return {tp = tp, fp = fp, fn = fn, tn = tn} end

--- What was counted, by class or label: read from the device once.
---@return table[]? by_class {tp =, fp =, fn =, tn =, seen = of rates that were weighed}, class i - 1 at i; of yes and no
--- both; nil before the first sample
function Counts:read()
  classes.confirm(self)
  if not self.cells then return nil end
  local list, result, any = self.cells:tolist(), {}, false
  local seen = self.seen and self.seen:tolist() or {}
  if self.kind ~= "multiclass" then
    for i, cell in ipairs(list) do
      result[i] = quad(table.unpack(cell))
      any = any or cell[1] + cell[2] + cell[3] + cell[4] > 0
    end
    if self.kind == "binary" then
      local yes = result[1]
      result = {quad(yes.tp, yes.fp, yes.fn, yes.tn), yes}
      for i, it in ipairs(result) do it.seen = seen[i] end
    end
    return any and result or nil
  end
  local total, hits, targets, predictions = 0, list[1], list[2], list[3]
  for i = 1, self.count do total = total + targets[i] end
  for i = 1, self.count do
    local fp, fn = predictions[i] - hits[i], targets[i] - hits[i]
    result[i] = quad(total - hits[i] - fp - fn, fn, fp, hits[i])
    result[i].seen = seen[i]
  end
  return total > 0 and result or nil
end

--- The confusion matrix on the scores' device, of a metric with `whole`: [classes, classes], labels [labels, 2, 2]; rows
--- are targets.
---@return Tensor?
function Counts:matrix()
  classes.confirm(self)
  if not self.cells then return nil end
  if self.kind == "multiclass" then return self.cells end
  local matrix = self.cells:view({-1, 2, 2}):transpose(1, 2)
  return self.kind == "binary" and matrix:select(0, 0) or matrix
end

--- A class of metrics with these methods.
---@param name string
---@param direction? string "min" or "max"
---@return table class
return function(name, direction)
  local class = {__name = name, direction = direction}
  for method, f in pairs(Counts) do class[method] = f end
  class.__index = class
  return class
end
