-- Scores and targets that are kept until the result is asked for: what AUC, AveragePrecision and the curves are made of.
--
-- They stay on the scores' device: a score takes its own 4 or 8 bytes (half precision is kept as float32), a target 1 (of
-- several classes 4), a weight 8. With `bins` only sums over equal parts of 0 to 1 are kept: [labels, bins - 1, no and yes].
local classes = require "train.metrics.classes"
local vm = require "native.vm"

local Scores = {}

local FIELDS <const> = {"scores", "targets", "weights"}
local SHARED <const> = {"from_logits", "ignore_index", "bins"}

---Forgets every sample.
function Scores:reset()
  self.kind, self.count, self.size, self.wrong = nil, nil, 0, nil
  self.scores, self.targets, self.weights, self.cells = nil, nil, nil, nil
end

-- Room for `size` rows more: what is full doubles, so that each row is copied a few times only.
local function append(self, field, rows)
  local torch, keep = require "torch", require("native.tensor").keep
  local own, size, more = self[field], self.size, rows:size(0)
  local room = own and own:size(0) or 0
  if own and own.device ~= rows.device then own = own:to(rows.device) end
  if size + more > room then
    local shape = table.pack(table.unpack(rows.shape))
    shape.n = nil
    shape[1] = math.max(2 * room, size + more, 1024)
    local larger = torch.empty(shape, {dtype = rows.dtype, device = rows.device})
    if size > 0 then larger:narrow(0, 0, size):copy_(own:narrow(0, 0, size)) end
    own = larger
  end
  if own ~= self[field] then self[field] = keep(own) end
  own:narrow(0, size, more):copy_(rows)
end

-- A weight for each row; of labels one for each label.
local function ones(self, scores)
  local torch = require "torch"
  local shape = self.kind == "multilabel" and scores.shape or {scores:size(0)}
  return torch.ones(shape, {dtype = torch.float64, device = scores.device})
end

-- Rows of all that is kept; weights only where a batch had some.
local function add_rows(self, scores, targets, weights)
  local keep = require("native.tensor").keep
  if weights and not self.weights and self.size > 0 then
    self.weights = keep(ones(self, self.scores))
  elseif self.weights and not weights then
    weights = ones(self, scores)
  end
  if self.scores and self.scores.dtype ~= scores.dtype then
    local float64 = require("torch").float64
    self.scores, scores = keep(self.scores:to(float64)), scores:to(float64)
  end
  append(self, "scores", scores)
  append(self, "targets", targets)
  if weights then append(self, "weights", weights) end
  self.size = self.size + scores:size(0)
end

local function begin(self, kind, count)
  if self.kind == kind and self.count == count then return end
  if self.kind then
    vm.raise("shape", ("%s: this batch is %s of %d, those before were %s of %d"):format(getmetatable(self).__name, kind, count,
      self.kind, self.count), "reset() before other data")
  end
  self.kind, self.count = kind, count
end

-- Sums over the part of 0 to 1 that a score falls into; its upper bound belongs to it, as in Keras.
local function add_bins(self, scores, targets, weights)
  local torch = require "torch"
  local parts, labels = self.bins - 1, self.kind == "binary" and 1 or self.count
  classes.scores(self, scores, true)
  local place = (scores:double() * parts):ceil():sub(1):clamp(0, parts - 1):to(torch.int64)
  if self.kind == "multiclass" then
    targets = torch.arange(labels, {device = targets.device}):eq(targets:unsqueeze(1))
  end
  local index = place:mul(2):add(targets)
  if scores:dim() == 2 then index = index + torch.arange(0, labels * parts * 2, parts * 2, {device = index.device}) end
  if not self.cells then
    self.cells = torch.zeros(labels, parts, 2, {dtype = torch.float64, device = index.device})
  elseif self.cells.device ~= index.device then
    self.cells = self.cells:to(index.device)
  end
  require("native.tensor").keep(self.cells)
  local source = weights or torch.ones(scores:size(0), {dtype = torch.float64, device = index.device})
  if source:dim() < index:dim() then source = source:unsqueeze(1):expand_as(index) end
  self.cells:view(-1):index_add_(0, index:flatten(), source:flatten())
end

---Adds a batch.
---@param pred Tensor scores: of yes [n, ...] or [n, 1, ...], of classes [n, classes, ...], or of labels [n, labels, ...]
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function Scores:update(pred, target, weight)
  local torch = require "torch"
  local kind, count
  kind, count, pred, target, weight = classes.layout(self, pred, target, weight)
  if kind == "multiclass" and pred:dim() == target:dim() then
    vm.raise("usage", getmetatable(self).__name .. ": scores expected, got classes")
  end
  local pair = kind == "multiclass" and count == 2  -- the score of the second class says all
  if not pred:is_floating_point() then
    pred = pred:double()  -- float32 holds no whole number above 2^24
  elseif pred.dtype == torch.float16 or pred.dtype == torch.bfloat16 then
    pred = pred:float()
  end
  target, weight = classes.targets(self, target, kind == "multiclass" and count or 2, weight)
  pred = classes.rows(pred, kind ~= "binary")
  local logits = self.from_logits
  if pair then
    if logits then pred = pred:select(1, 1) - pred:select(1, 0) else pred = pred:select(1, 1) end
  elseif logits and kind == "multiclass" then
    pred, logits = pred:softmax(1), false
  end
  local labels = kind == "multilabel"
  if labels or target:dim() ~= 1 then
    target, weight = classes.rows(target, labels), weight and classes.rows(weight, labels)
  end
  weight = weight and weight:double()
  if pred:numel() == 0 then return end
  local seen = pair and "binary" or kind
  if seen == "binary" and self.average == "none" then
    vm.raise("usage", getmetatable(self).__name .. ': average = "none" is about several classes or labels, the scores are of yes and no')
  end
  if not self.bins then classes.scores(self, pred) end
  begin(self, seen, count)
  if self.bins then return add_bins(self, logits and pred:sigmoid() or pred, target, weight) end
  target = target:to(kind == "multiclass" and not pair and torch.int32 or torch.bool)
  add_rows(self, pred, target, weight)
end

---Adds what another metric of the same class has seen.
function Scores:merge(other)
  classes.check_merge(self, other, SHARED)
  classes.confirm(other)
  if not other.kind then return end
  begin(self, other.kind, other.count)
  if self.bins then
    if not other.cells then return end
    local keep = require("native.tensor").keep
    self.cells = keep(self.cells and self.cells:add_(other.cells:to(self.cells.device)) or other.cells:clone())
    return
  end
  local rows = {}
  for i, field in ipairs(FIELDS) do rows[i] = other[field] and other[field]:narrow(0, 0, other.size) end
  if other.size > 0 then add_rows(self, table.unpack(rows, 1, 3)) end
end

---What a checkpoint keeps.
---@return table
function Scores:state_dict()
  classes.confirm(self)
  local state = {kind = self.kind, count = self.count, size = self.size, cells = self.cells and self.cells:clone()}
  for _, field in ipairs(FIELDS) do state[field] = self[field] and self[field]:narrow(0, 0, self.size):clone() end
  return state
end

---Goes on where state_dict was taken.
---@param state table
function Scores:load_state_dict(state)
  self:reset()
  local keep = require("native.tensor").keep
  self.kind, self.count, self.size = state.kind, state.count, state.size
  self.cells = state.cells and keep(state.cells:clone())
  for _, field in ipairs(FIELDS) do self[field] = state[field] and keep(state[field]:clone()) end
end

--- What is kept of one class or label (yes and no: 0), without samples that weigh nothing.
---@param class integer
---@param among? fun(targets: Tensor): Tensor which samples
---@return table column {scores = [n], yes = [n], weights = [n]?}
function Scores:column(class, among)
  local scores, targets = self.scores:narrow(0, 0, self.size), self.targets:narrow(0, 0, self.size)
  local yes, weights, kept = targets, self.weights and self.weights:narrow(0, 0, self.size), nil
  if self.kind ~= "binary" then
    scores = scores:select(1, class)
    yes = self.kind == "multiclass" and yes:eq(class) or yes:select(1, class)
    if weights and weights:dim() == 2 then weights = weights:select(1, class) end
  end
  if weights then kept = weights:ne(0) end
  if among then kept = kept and kept & among(targets) or among(targets) end
  if kept then scores, yes, weights = scores[kept], yes[kept], weights and weights[kept] end
  return {scores = scores, yes = yes, weights = weights}
end

--- All classes or labels as one, for the micro average.
---@return table column as above
function Scores:flat()
  local torch = require "torch"
  local scores, yes, weights = {}, {}, {}
  for class = 0, self.kind == "binary" and 0 or self.count - 1 do
    local column = self:column(class)
    scores[class + 1], yes[class + 1], weights[class + 1] = column.scores, column.yes, column.weights
  end
  return {scores = torch.cat(scores), yes = torch.cat(yes), weights = weights[1] and torch.cat(weights)}
end

--- A class of metrics with these methods.
---@param name string
---@param direction? string "min" or "max"
---@return table class
return function(name, direction)
  local class = {__name = name, direction = direction}
  for method, f in pairs(Scores) do class[method] = f end
  class.__index = class
  return class
end
