-- The logs of metrics: one a metric, under its name; a metric with several numbers has one for each of its `parts`.
--
-- parts = {{"", "map"}, {"_50", "map_50"}}: what follows the metric's name in the log, and the field of result().
local ordered = require "host.ordered"

local metric_logs = {}

---@param metrics table<string, table|function>
---@return table[] list {name = of the log, metric = name of the metric, field = of its result, or nil}
function metric_logs.of(metrics)
  local list = {}
  for _, name in ipairs(ordered.keys(metrics)) do
    local metric = metrics[name]
    for _, part in ipairs(type(metric) == "table" and metric.parts or {{""}}) do
      list[#list + 1] = {name = name .. part[1], metric = name, field = part[2]}
    end
  end
  return list
end

---The names of these logs, in order.
---@return string[]
function metric_logs.names(metrics)
  local names = {}
  for i, log in ipairs(metric_logs.of(metrics)) do names[i] = log.name end
  return names
end

return metric_logs
