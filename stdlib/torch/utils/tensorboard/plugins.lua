-- Summaries that a plugin of TensorBoard reads: hparams, custom scalars, PR curves, meshes.
local messages = require "torch.utils.tensorboard.messages"
local ordered = require "host.ordered"
local torch = require "torch"
local vm = require "native.vm"

local message <const>, repeated <const>, metadata <const> = messages.encode, messages.repeated, messages.metadata

local plugins = {}

local function fail(text, ...) vm.raise("usage", text:format(...)) end

-- --- Hyperparameters

-- google.protobuf.Value, and DataType of the column that it is in.
local function hparam(name, value)
  if type(value) == "userdata" and torch.is_tensor(value) then value = value:item() end
  if type(value) == "number" then return message {{2, "real", value}}, 3 end
  if type(value) == "string" then return message {{3, "text", value}}, 1 end
  if type(value) == "boolean" then return message {{4, "integer", value}}, 2 end
  fail("SummaryWriter.add_hparams: value should be one of int, float, str, bool, or torch.Tensor, got %s for '%s'",
    vm.describe(value), name)
end

local function hparams_summary(tag, field, content)
  return messages.summary(messages.value("_hparams_/" .. tag,
    metadata("hparams", message {{field, "bytes", content}})))
end

local function check_domain(hparam_dict, domains)
  for _, name in ipairs(ordered.keys(domains)) do
    local values, good = domains[name], hparam_dict[name] ~= nil and type(domains[name]) == "table"
    for _, value in ipairs(good and values or {}) do good = good and type(value) == type(hparam_dict[name]) end
    if not good then
      fail("parameter: hparam_domain_discrete[%s] should be a list of same type as hparam_dict[%s].", name, name)
    end
  end
end

--- The three summaries of a run in the table of hyperparameters: experiment, start, end.
---@param hparam_dict table<string, number|string|boolean|Tensor>
---@param metric_dict table<string, any>
---@param domains table<string, table> the values that a hyperparameter can have
---@return string[]
function plugins.hparams(hparam_dict, metric_dict, domains)
  check_domain(hparam_dict, domains)
  local infos, start = {}, {}
  for _, name in ipairs(ordered.keys(hparam_dict)) do
    local value, kind = hparam(name, hparam_dict[name])
    start[#start + 1] = {1, "bytes", message {{1, "text", name}, {2, "bytes", value}}}
    local info = {{1, "text", name}, {4, "integer", kind}}
    if domains[name] then
      local values = {}
      for i, each in ipairs(domains[name]) do values[i] = (hparam(name, each)) end
      info[3] = {5, "bytes", message(repeated(1, "bytes", values))}
    end
    infos[#infos + 1] = {4, "bytes", message(info)}
  end
  for _, name in ipairs(ordered.keys(metric_dict)) do
    infos[#infos + 1] = {5, "bytes", message {{1, "bytes", message {{2, "text", name}}}}}
  end
  return {hparams_summary("experiment", 2, message(infos)), hparams_summary("session_start_info", 3, message(start)),
    hparams_summary("session_end_info", 4, message {{1, "integer", 1}})}
end

-- --- Charts of several scalars

local function chart(title, given)
  local kind, tags = given[1], given[2]
  if (kind ~= "Margin" and kind ~= "Multiline") or type(tags) ~= "table" then
    fail("SummaryWriter.add_custom_scalars: chart '%s' must be {\"Multiline\", tags} or {\"Margin\", tags}", title)
  end
  if kind == "Margin" then
    if #tags ~= 3 then fail("Expected 3 tags, got %d.", #tags) end
    local series = message {{1, "text", tags[1]}, {2, "text", tags[2]}, {3, "text", tags[3]}}
    return message {{1, "text", title}, {3, "bytes", message {{1, "bytes", series}}}}
  end
  return message {{1, "text", title}, {2, "bytes", message(repeated(1, "text", tags))}}
end

--- The layout of the custom scalars' page, categories and charts by name.
---@param layout table<string, table<string, table>>
---@return string
function plugins.custom_scalars(layout)
  local categories = {}
  for _, category in ipairs(ordered.keys(layout)) do
    if type(layout[category]) ~= "table" then
      fail("SummaryWriter.add_custom_scalars: category '%s' must be a table of charts, got %s", category,
        vm.describe(layout[category]))
    end
    local charts = {{1, "text", category}}
    for _, title in ipairs(ordered.keys(layout[category])) do
      charts[#charts + 1] = {2, "bytes", chart(title, layout[category][title])}
    end
    categories[#categories + 1] = message(charts)
  end
  local tensor = messages.tensor(messages.DT.STRING, {},
    {{8, "bytes", message(repeated(2, "bytes", categories))}})
  return messages.summary(messages.value("custom_scalars__config__", metadata "custom_scalars", tensor))
end

-- --- Precision and recall

local MOST <const> = 127  -- thresholds that PyTorch writes

--- The summary of a curve from its six rows.
---@param tag string
---@param rows Tensor[] true positives, false positives, true negatives, false negatives, precision, recall
---@param num_thresholds integer
---@return string
function plugins.pr_curve(tag, rows, num_thresholds)
  local data = {}
  for i, row in ipairs(rows) do data[i] = torch.as_tensor(row, {device = "cpu"}):detach():to(torch.float64):flatten() end
  data = torch.stack(data)
  local tensor = messages.tensor(messages.DT.FLOAT, data.shape, {{5, "singles", data}})
  return messages.summary(messages.value(tag,
    metadata("pr_curves", message {{2, "integer", math.min(num_thresholds, MOST)}}), tensor))
end

--- The rows of a curve, by thresholds at equal distances.
---@param labels Tensor 0 or 1
---@param predictions Tensor from 0 to 1
---@param num_thresholds integer
---@param weights? number|Tensor
---@return Tensor[]
function plugins.count_curve(labels, predictions, num_thresholds, weights)
  local n = math.min(num_thresholds, MOST)
  local buckets = (predictions:detach():cpu():flatten() * (n - 1)):floor():to(torch.int64)
  local truth = labels:detach():cpu():flatten():to(torch.float64)
  if type(weights) == "userdata" then weights = weights:detach():cpu():flatten():to(torch.float64) end
  local inside = buckets:ge(0) & buckets:le(n - 1)
  local function count(each)
    return torch.bincount(buckets[inside], (each * (weights or 1.0))[inside], n):flip(0):cumsum(0):flip(0)
  end
  local tp, fp = count(truth), count(1.0 - truth)
  local tn, fn = fp[0] - fp, tp[0] - tp
  return {tp, fp, tn, fn, tp / (tp + fp):clamp(1e-7), tp / (tp + fn):clamp(1e-7)}
end

-- --- Meshes

local PARTS <const> = {{"vertices", "VERTEX", 1}, {"faces", "FACE", 2}, {"colors", "COLOR", 3}}

--- The summary of a mesh or a cloud of points.
---@param tag string
---@param tensors table<string, Tensor> vertices, colors, faces: each [batch, n, 3]
---@param config? table of three.js
---@return string
function plugins.mesh(tag, tensors, config)
  local json, components, values = config and require("host").json.encode(config) or "{}", 0, {}
  for _, part in ipairs(PARTS) do
    if tensors[part[1]] ~= nil then components = components | 1 << part[3] end
  end
  for _, part in ipairs(PARTS) do
    local tensor = tensors[part[1]]
    if tensor ~= nil then
      tensor = torch.as_tensor(tensor, {device = "cpu"}):detach()
      if tensor:dim() ~= 3 then
        vm.raise("shape", ("SummaryWriter.add_mesh: Tensor shape should be of shape BxNx3, but got %s for %s.")
          :format(tostring(tensor.shape), part[1]))
      end
      local content = message {{2, "text", tag}, {3, "integer", part[3]}, {5, "text", json},
        {6, "integers", torch.tensor(table.move(tensor.shape, 1, 3, 1, {}), {device = "cpu"})}, {7, "integer", components}}
      values[#values + 1] = messages.value(("%s_%s"):format(tag, part[2]), metadata("mesh", content),
        messages.tensor(messages.DT.FLOAT, tensor.shape, {{5, "singles", tensor}}))
    end
  end
  return messages.summary(table.unpack(values))
end

return plugins
