-- The running values of one pass: the loss, its components and the metrics, weighted by samples.
--
-- Nothing is fetched from the device here: sums stay on it, in float64, and state.logs reads them when a callback looks.
local Mean = require "train.metrics.mean"
local callback_state = require "train.callback_state"
local logs = require "train.logs"
local metric_logs = require "train.metric_logs"
local ordered = require "host.ordered"

local Aggregate = {}
Aggregate.__index = Aggregate

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

-- A function as a metric: the mean of what it says of the batches.
local function of_function(f)
  local mean = Mean()
  return {
    reset = function() mean:reset() end,
    update = function(_, pred, target, _, samples) mean:update(f(pred, target), samples) end,
    result = function() return mean:result() end,
    state_dict = function() return mean:state_dict() end,
    load_state_dict = function(_, state) mean:load_state_dict(state) end,
  }
end

---@param metrics table<string, table|function> metric objects, or functions (pred, target) -> mean over the batch
---@param prefix string "" or "val_"
---@param optional? boolean a step may leave out state.output and state.target: metrics that need them have no logs then
function Aggregate.new(metrics, prefix, optional)
  local self = setmetatable({prefix = prefix, optional = optional, loss = Mean(), parts = {}, metrics = {}, names = {}}, Aggregate)
  local by_name = {}
  for i, name in ipairs(ordered.keys(metrics)) do
    local metric = metrics[name]
    metric = type(metric) == "function" and of_function(metric) or metric
    self.metrics[i], by_name[name] = {name = name, metric = metric, logs = {}}, i
  end
  for i, log in ipairs(metric_logs.of(metrics)) do
    local entry, field = self.metrics[by_name[log.metric]], log.field
    local metric = entry.metric
    self.names[i] = log.name
    entry.logs[log.name] = field and function() return metric:result()[field] end or function() return metric:result() end
  end
  return self
end

---Forgets everything and puts fresh entries into `target` at the first update.
function Aggregate:begin(target)
  self.loss:reset()
  for _, entry in ipairs(self.metrics) do
    entry.metric:reset()
    entry.shown = false
  end
  for _, part in pairs(self.parts) do part:reset() end
  self.target, self.shown = target, false
end

local function show(self)
  self.shown = true
  local loss = self.loss
  logs.set_lazy(self.target, self.prefix .. "loss", function() return loss:result() end)
end

local function show_metric(self, entry)
  entry.shown = true
  for _, name in ipairs(ordered.keys(entry.logs)) do logs.set_lazy(self.target, self.prefix .. name, entry.logs[name]) end
end

local function measure(self, entry, pred, target, samples)
  if pred == nil and target == nil and entry.metric.needs_output then
    if self.optional then return end
    usage(("the metric '%s' has nothing to measure"):format(entry.name), "step must set state.output and state.target")
  end
  entry.metric:update(pred, target, nil, samples)
  if not entry.shown then show_metric(self, entry) end
end

local function show_part(self, name, part)
  logs.set_lazy(self.target, self.prefix .. name, function() return part:result() end)
end

local function add_part(self, name)
  local clash = name == "loss"
  for _, metric in ipairs(self.names) do clash = clash or metric == name end
  if clash then usage(("step: the log '%s' is also the name of a metric"):format(name)) end
  local part = Mean()
  self.parts[name] = part
  return part
end

---Adds one batch.
---@param loss Tensor|number the mean over the batch
---@param parts? table<string, Tensor|number> components by name, means over the batch
---@param count number|Tensor the weight of this batch
---@param pred? any given to the metrics
---@param target? any given to the metrics
function Aggregate:update(loss, parts, count, pred, target)
  self.loss:update(loss, count)
  if not self.shown then show(self) end
  for _, entry in ipairs(self.metrics) do measure(self, entry, pred, target, count) end
  local prefix = self.prefix
  logs.stale(self.target, prefix .. "loss")
  for _, name in ipairs(self.names) do logs.stale(self.target, prefix .. name) end
  if parts then
    for _, name in ipairs(ordered.keys(parts)) do
      local part = self.parts[name] or add_part(self, name)
      part:update(parts[name], count)
      show_part(self, name, part)
    end
  end
end

---What a checkpoint within a pass keeps.
---@return table
function Aggregate:state_dict()
  local state = {loss = self.shown and self.loss:state_dict() or nil, parts = {}, metrics = {}}
  for name, part in pairs(self.parts) do state.parts[name] = part:state_dict() end
  for _, entry in ipairs(self.metrics) do
    if entry.shown then state.metrics[entry.name] = callback_state.get(entry.metric) end
  end
  return state
end

---Goes on within a pass: the entries of `target` are the running values again.
---@param state table
---@param target table logs
function Aggregate:load_state_dict(state, target)
  self:begin(target)
  if state.loss then
    self.loss:load_state_dict(state.loss)
    show(self)
  end
  for _, entry in ipairs(self.metrics) do
    local saved = state.metrics[entry.name]
    if saved then
      callback_state.set(entry.metric, saved)
      show_metric(self, entry)
    end
  end
  for _, name in ipairs(ordered.keys(state.parts)) do
    local part = self.parts[name] or add_part(self, name)
    part:load_state_dict(state.parts[name])
    show_part(self, name, part)
  end
end

return Aggregate
