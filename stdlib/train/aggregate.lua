-- The running values of one pass: the loss, its components and the metrics, weighted by samples.
--
-- Nothing is fetched from the device here: sums stay on it, in float64, and state.logs reads them when a callback looks.
local Mean = require "train.metrics.mean"
local callback_state = require "train.callback_state"
local host_log = require("host").log
local logs = require "train.logs"
local metric_logs = require "train.metric_logs"
local numbers = require "train.numbers"
local ordered = require "host.ordered"

local INF <const> = math.huge

local Aggregate = {}
Aggregate.__index = Aggregate

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

-- A function as a metric: the mean of what it says of the batches, or of their samples.
local function of_function(f, name)
  local mean = Mean()
  return {
    reset = function() mean:reset() end,
    update = function(_, pred, target, weight, samples)
      local value = f(pred, target)
      if type(value) ~= "number" and type(value) ~= "userdata" then
        usage(("metric '%s' must return a number or a tensor, got %s"):format(name, require("native.vm").describe(value)))
      end
      if weight then
        if type(value) ~= "userdata" or value:dim() == 0 then
          usage(("weighted_metrics: '%s' must return a value for each sample, got one number"):format(name))
        end
        samples = weight
      elseif type(value) == "userdata" and value:dim() > 0 then
        samples = 1
      end
      mean:update(value, samples)
    end,
    result = function() return mean:result() end,
    state_dict = function() return mean:state_dict() end,
    load_state_dict = function(_, state) mean:load_state_dict(state) end,
  }
end

---@param metrics table<string, table|function> metric objects, or functions (pred, target) -> mean over the batch
---@param prefix string "" or "val_"
---@param weighted table<string, boolean> which metrics get the weights of the samples
---@param optional? boolean a step may leave out state.output and state.target: metrics that need them have no logs then
function Aggregate.new(metrics, prefix, weighted, optional)
  local self = setmetatable({prefix = prefix, optional = optional, loss = Mean(), loss_name = prefix .. "loss", parts = {},
    metrics = {}, names = {}}, Aggregate)
  local by_name = {}
  for i, name in ipairs(ordered.keys(metrics)) do
    local metric = metrics[name]
    metric = type(metric) == "function" and of_function(metric, name) or metric
    self.metrics[i], by_name[name] = {name = name, metric = metric, logs = {}, weighted = weighted[name]}, i
  end
  for i, log in ipairs(metric_logs.of(metrics)) do
    local entry, field = self.metrics[by_name[log.metric]], log.field
    local metric = entry.metric
    self.names[i] = log.name
    entry.logs[log.name] = field and function() return metric:result()[field] end or function() return metric:result() end
  end
  return self
end

-- What says of a loss that is not finite where it comes from, or ends the training.
local SPEAKERS <const> = {NanGuard = true, TerminateOnNaN = true}

-- The first loss of a training that is not finite. It is looked at where it is read anyway: no device is waited for.
local function not_finite(self, value, at)
  local state = self.state
  if state.loss_told then return end
  state.loss_told = true
  for _, entry in ipairs(state.callback_list.entries) do
    if SPEAKERS[entry.base_name] then return end
  end
  local where = state.train and ("%s epoch %d, batch %d"):format(at, state.epoch + 1, state.batch + 1)
    or ("%s batch %d"):format(at, state.batch + 1)
  local hint = state.optimizer and "; train.NanGuard() finds where it comes from and can leave such steps out" or ""
  host_log.warn(("the %sloss is %s %s%s"):format(self.prefix, numbers.text(value), where, hint))
end

---Forgets everything and puts fresh entries into `target` at the first update.
---@param target table
---@param state table
function Aggregate:begin(target, state)
  self.state = state
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
  logs.set_lazy(self.target, self.loss_name, function()
    local value = loss:result()
    if value - value ~= 0 then not_finite(self, value, "by") end
    return value
  end)
end

local function show_metric(self, entry)
  entry.shown = true
  for _, name in ipairs(ordered.keys(entry.logs)) do logs.set_lazy(self.target, self.prefix .. name, entry.logs[name]) end
end

local function measure(self, entry, pred, target, samples, weight)
  if pred == nil and target == nil and entry.metric.needs_output then
    if self.optional then return end
    usage(("the metric '%s' has nothing to measure"):format(entry.name), "step must set state.output and state.target")
  end
  entry.metric:update(pred, target, entry.weighted and weight or nil, samples)
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
---@param weight? Tensor of the samples, given to the metrics that are weighted
function Aggregate:update(loss, parts, count, pred, target, weight)
  self.loss:add(loss, count)
  local total = self.loss.total
  if total ~= total or total == INF or total == -INF then not_finite(self, total, "at") end
  if not self.shown then show(self) end
  local metrics, names, prefix = self.metrics, self.names, self.prefix
  for i = 1, #metrics do measure(self, metrics[i], pred, target, count, weight) end
  logs.stale(self.target, self.loss_name)
  for i = 1, #names do logs.stale(self.target, prefix .. names[i]) end
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
---@param saved table
---@param target table logs
---@param state table
function Aggregate:load_state_dict(saved, target, state)
  self:begin(target, state)
  if saved.loss then
    self.loss:load_state_dict(saved.loss)
    show(self)
  end
  for _, entry in ipairs(self.metrics) do
    local own = saved.metrics[entry.name]
    if own then
      callback_state.set(entry.metric, own)
      show_metric(self, entry)
    end
  end
  for _, name in ipairs(ordered.keys(saved.parts)) do
    local part = self.parts[name] or add_part(self, name)
    part:load_state_dict(saved.parts[name])
    show_part(self, name, part)
  end
end

return Aggregate
