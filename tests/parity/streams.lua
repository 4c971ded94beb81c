-- A metric fed with everything at once, batch by batch, and by as many metrics as there are batches, each saved, loaded
-- into another and merged.
local metrics = require("train").metrics

local function feed(metric, batch)
  metric:update(batch[1], batch[2], batch[3])
  return metric
end

-- What a metric says, as a list of these fields where it says several things.
local function said(metric, fields)
  local result = metric:result()
  if not fields then return result end
  local list = {}
  for i, field in ipairs(fields) do list[i] = result[field] end
  return list
end

return function(class, options, whole, batches, fields)
  local function new() return metrics[class](options) end
  local stream, merged = new(), new()
  for _, batch in ipairs(batches) do
    feed(stream, batch)
    local loaded = new()
    loaded:load_state_dict(feed(new(), batch):state_dict())
    merged:merge(loaded)
  end
  local again = new()
  again:load_state_dict(merged:state_dict())
  merged:reset()
  merged:merge(again)
  return said(feed(new(), whole), fields), said(stream, fields), said(merged, fields)
end
