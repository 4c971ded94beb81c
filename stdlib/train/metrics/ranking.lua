-- What metrics of rankings share: the items of each query by falling score, and the mean over queries.
--
-- All queries of a batch are ranked at once: items lie in one row, `query` says whose they are and `place` where they come.
local kept = require "train.metrics.kept"
local keywords = require "host.keywords"
local sums = require "train.metrics.sums"
local tensors = require "train.metrics.tensors"
local torch = require "torch"
local undefined = require "train.metrics.undefined"
local vm = require "native.vm"

local ranking = {}

local ACTIONS <const> = {"neg", "pos", "skip", "error"}

-- The ranks of queries; `whose` [n] are the items' queries, 0 to queries - 1; those of query `queries` do not count.
-- `items`: all queries have as many, one after the other.
local function rows_of(score, target, whose, queries, items)
  local rows = {score = score, target = target, queries = queries, whose = whose, items = items, query = whose}
  local device = score.device
  if items then
    rows.place = torch.arange(items, {device = device}):rep(queries)
  else
    rows.query = whose:sort()
    local counts = torch.zeros({queries + 1}, {dtype = torch.int64, device = device}):scatter_add_(0, whose, torch.ones_like(whose))
    rows.place = torch.arange(#whose, {device = device}) - (counts:cumsum(0) - counts):index_select(0, rows.query)
  end
  return rows
end

---Where the items are when those of each query are in falling order of `value`; equal ones stay as they were.
---@param rows table
---@param value Tensor [n]
---@return Tensor [n] integers
function ranking.order(rows, value)
  if rows.items then
    local _, order = value:reshape({rows.queries, rows.items}):sort({dim = 1, descending = true, stable = true})
    return (order + rows.whose:reshape({rows.queries, rows.items}) * rows.items):flatten()
  end
  local _, by_value = value:sort({dim = 0, descending = true, stable = true})
  local _, by_query = rows.whose:index_select(0, by_value):sort({dim = 0, stable = true})
  return by_value:index_select(0, by_query)
end

---The sum of the values of each query's items.
---@param rows table
---@param values Tensor [n] float64
---@return Tensor [queries]
function ranking.sum(rows, values)
  return torch.zeros({rows.queries + 1}, {dtype = torch.float64, device = values.device}):scatter_add_(0, rows.query, values)
    :narrow(0, 0, rows.queries)
end

---The greatest of the values of each query's items, at least 0.
function ranking.greatest(rows, values)
  return torch.zeros({rows.queries + 1}, {dtype = torch.float64, device = values.device})
    :scatter_reduce_(0, rows.query, values, "amax"):narrow(0, 0, rows.queries)
end

---1 for items among the first top_k, in float64.
function ranking.among_first(self, rows)
  if not self.top_k then return torch.ones_like(rows.place, {dtype = torch.float64}) end
  return rows.place:lt(self.top_k):to(torch.float64)
end

---What is relevant (target above 0), by falling score.
---@param self table with `top_k`
---@param rows table
---@return Tensor found [n] float64: 1 for relevant items among the first top_k
---@return Tensor all [queries] float64: how many relevant items there are
function ranking.relevant(self, rows)
  local relevant = rows.target:gt(0):index_select(0, ranking.order(rows, rows.score)):to(torch.float64)
  return relevant * ranking.among_first(self, rows), ranking.sum(rows, relevant)
end

-- The sums that queries add.
local function scored(self, rows, weight)
  local value, empty = self._score(self, rows)
  local counted = torch.ones_like(value)
  if self.empty_target_action == "skip" then
    counted = empty:logical_not():to(torch.float64)
  else
    value = value:masked_fill(empty, self.empty_target_action == "pos" and 1 or 0)
  end
  local invalid = rows.score:ne(rows.score):sum() + rows.target:ge(0):logical_not():sum()
  if weight then counted = counted * weight end
  return {total = (value * counted):sum(), weight = counted:sum(), empty = empty:sum(), invalid = invalid}
end

local function shapes(self, pred, target, expected)
  vm.raise("shape", ("%s: scores of shape %s do not go with a target of shape %s"):format(self.__name, tostring(pred.shape),
    tostring(target.shape)), expected)
end

-- Items with the numbers of their queries are kept until all are there.
local function keep_items(self, pred, given, weight)
  local target, indexes = given.target, given.indexes
  tensors.check(self, pred, pred)
  if weight then vm.raise("usage", self.__name .. ": queries that indexes tell have no weights") end
  if type(target) ~= "userdata" or type(indexes) ~= "userdata" then
    vm.raise("usage", ("%s: a target that is a table must be {target = Tensor, indexes = Tensor}, got target %s and indexes %s")
      :format(self.__name, vm.describe(target), vm.describe(indexes)))
  end
  if not (pred:is_same_size(target) and pred:is_same_size(indexes)) then
    shapes(self, pred, pred:is_same_size(target) and indexes or target, "scores, target and indexes have the same shape")
  end
  kept.append(self, {pred:detach():flatten(), target:detach():flatten():to(torch.float64), indexes:detach():flatten():to(torch.int64)})
end

-- The queries that indexes told of.
local function kept_sums(self)
  local columns = kept.all(self)
  if not columns then return nil end
  local score, target, indexes = columns[1], columns[2], columns[3]
  if self.ignore_index then
    local counted = target:ne(self.ignore_index)
    score, target, indexes = score[counted], target[counted], indexes[counted]
    if #score == 0 then return nil end
  end
  local queries, whose = torch.unique(indexes, {return_inverse = true})
  return scored(self, rows_of(score, target, whose, #queries))
end

---The class of a metric of rankings.
---@param name string
---@param score fun(self: table, rows: table): Tensor, Tensor the value of each query, and which have nothing relevant
---@return table class
function ranking.class(name, score)
  local Class = kept.class(name, {"predictions", "targets", "indexes"}, {"total", "weight", "empty", "invalid"}, "max")
  Class._score = score

  ---Adds queries.
  ---@param pred Tensor [queries, items] scores, or [items] of one query
  ---@param target Tensor|table of the same shape: how relevant the items are, 0 is not; or {target = Tensor, indexes =
  ---Tensor} of any shape, where indexes are the numbers of the items' queries, which may go on in later batches
  ---@param weight? Tensor [queries]
  function Class:update(pred, target, weight)
    if type(target) == "table" then return keep_items(self, pred, target, weight) end
    tensors.check(self, pred, target, weight)
    if not pred:is_same_size(target) or pred:dim() > 2 or pred:dim() == 0 then
      shapes(self, pred, target, "[queries, items] twice, or [items] of one query")
    end
    if pred:dim() == 1 then pred, target = pred:unsqueeze(0), target:unsqueeze(0) end
    local queries, items = pred:size(0), pred:size(1)
    if weight and weight:numel() ~= queries then
      vm.raise("shape", ("%s: weight of shape %s, expected [%d], one for each query"):format(name, tostring(weight.shape), queries))
    end
    if queries == 0 then return end
    local whose = torch.arange(queries, {device = pred.device}):repeat_interleave(items, {output_size = queries * items})
    pred, target = pred:detach():flatten(), target:detach():flatten():to(torch.float64)
    local dense = items
    if self.ignore_index then
      local ignored = target:eq(self.ignore_index)
      pred, target, whose, dense = pred:masked_fill(ignored, 0), target:masked_fill(ignored, 0), whose:masked_fill(ignored, queries), nil
    end
    weight = weight and weight:detach():to(torch.float64):reshape({-1})
    sums.add(self, scored(self, rows_of(pred, target, whose, queries, dense), weight))
  end

  ---The mean over the queries so far, NaN before the first.
  ---@return number
  function Class:result()
    local rows, grouped = self.sums, kept_sums(self) or {}
    local function total(field) return sums.read(rows[field] or 0) + sums.read(grouped[field] or 0) end
    if total("invalid") > 0 then
      vm.raise("usage", name .. ": scores hold NaN, or targets NaN or negative numbers", "ignore_index leaves items out")
    end
    if self.empty_target_action == "error" and total("empty") > 0 then
      vm.raise("usage", ("%s: %d queries have nothing that is relevant"):format(name, total("empty")))
    end
    local weight = total("weight")
    if weight == 0 then return undefined(self, "there are no queries") end
    return total("total") / weight
  end

  return Class
end

---The constructor of a metric of rankings.
---@param Class table
---@param defaults table its own options
---@param kinds table<string, string> what they must be
---@return fun(arguments: table?): table
function ranking.constructor(Class, defaults, kinds)
  local where = "train.metrics." .. Class.__name
  local all = {top_k = keywords.none, empty_target_action = "neg", ignore_index = keywords.none}
  for name, default in pairs(defaults) do all[name] = default end
  return function(arguments)
    local self = setmetatable(keywords.check(where, arguments, all), Class)
    local options = require "train.options"
    options.check(where, self, {top_k = "positive_count", empty_target_action = ACTIONS, ignore_index = "number"})
    options.check(where, self, kinds)
    self._options = sums.options_text(self, {"top_k", "empty_target_action", "ignore_index"})
    for _, name in ipairs(require("host.ordered").keys(kinds)) do
      self._options = self._options .. " " .. sums.options_text(self, {name})
    end
    self:reset()
    return self
  end
end

return ranking
