-- The running values of one pass: the loss, its components and the metrics, weighted by samples.
--
-- Nothing is fetched from the device here: sums stay on it, in float64, and state.logs reads them when a callback looks.
local Mean = require "train.metrics.mean"
local logs = require "train.logs"
local ordered = require "host.ordered"

local Aggregate = {}
Aggregate.__index = Aggregate

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

---@param metrics table<string, table|function> metric objects, or functions (pred, target) -> mean over the batch
---@param prefix string "" or "val_"
function Aggregate.new(metrics, prefix)
  local self = setmetatable({prefix = prefix, loss = Mean(), parts = {}, metrics = {}, names = {}}, Aggregate)
  for i, name in ipairs(ordered.keys(metrics)) do
    local metric = metrics[name]
    if type(metric) == "function" then
      local mean, f = Mean(), metric
      metric = {
        reset = function() mean:reset() end,
        update = function(_, pred, target, _, samples) mean:update(f(pred, target), samples) end,
        result = function() return mean:result() end,
      }
    end
    self.names[i], self.metrics[i] = name, metric
  end
  return self
end

---Forgets everything and puts fresh entries into `target` at the first update.
function Aggregate:begin(target)
  self.loss:reset()
  for _, metric in ipairs(self.metrics) do metric:reset() end
  for _, part in pairs(self.parts) do part:reset() end
  self.target, self.shown = target, false
end

local function show(self)
  self.shown = true
  local prefix, loss = self.prefix, self.loss
  logs.set_lazy(self.target, prefix .. "loss", function() return loss:result() end)
  for i, metric in ipairs(self.metrics) do
    logs.set_lazy(self.target, prefix .. self.names[i], function() return metric:result() end)
  end
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
---@param samples integer the weight of this batch
---@param pred? Tensor given to the metrics
---@param target? Tensor given to the metrics
function Aggregate:update(loss, parts, samples, pred, target)
  self.loss:update(loss, samples)
  for _, metric in ipairs(self.metrics) do metric:update(pred, target, nil, samples) end
  if not self.shown then show(self) end
  local prefix = self.prefix
  logs.stale(self.target, prefix .. "loss")
  for _, name in ipairs(self.names) do logs.stale(self.target, prefix .. name) end
  if parts then
    for _, name in ipairs(ordered.keys(parts)) do
      local part = self.parts[name] or add_part(self, name)
      part:update(parts[name], samples)
      logs.set_lazy(self.target, prefix .. name, function() return part:result() end)
    end
  end
end

return Aggregate
