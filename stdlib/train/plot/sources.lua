-- Where curves come from: histories, tables of series, files of train.CSVLogger; one run or several by name.
local csv = require "train.csv"
local ordered = require "host.ordered"

local sources = {}

local function usage(message, hint) require("native.vm").raise("usage", "train.plot: " .. message, hint) end

local SEPARATORS <const> = {",", ";", "\t", "|"}

-- "NA" and empty fields are gaps.
local function number_of(text)
  local special = {nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge}
  return special[text] or tonumber(text) or 0 / 0
end

-- Epochs of a log count from 0, those that are shown from 1.
local function run_of(axis, xs, columns)
  local run = {axis = axis, series = {}}
  if axis == "epoch" then
    for i, x in ipairs(xs) do xs[i] = x + 1 end
  end
  for name, values in pairs(columns) do run.series[name] = {xs = xs, ys = values} end
  return run
end

local function of_csv(text, path)
  local separator, rows = nil, {}
  for _, each in ipairs(SEPARATORS) do
    local found = csv.rows(text, each)
    if #rows == 0 or #(found[1] or {}) > #rows[1] then separator, rows = each, found end
  end
  if #rows == 0 then usage(("the file '%s' is empty"):format(path)) end
  local header, xs, columns, axis = rows[1], {}, {}, nil
  for i, name in ipairs(header) do
    name = name:gsub("^\239\187\191", "")
    local is_axis = not axis and (name == "epoch" or name == "step")
    local values, filled = {}, false
    for k = 2, #rows do
      local value = number_of(rows[k][i] or "")
      filled = filled or value == value or rows[k][i] == "nan"
      values[k - 1] = value
    end
    if is_axis then axis, xs = name, values elseif filled then columns[name] = values end
  end
  if not axis then
    for k = 2, #rows do xs[k - 1] = k - 1 end
  end
  if next(columns) == nil and #rows > 1 then
    usage(("the file '%s' has no column of numbers (separated by '%s')"):format(path, separator))
  end
  return run_of(axis or "row", xs, columns)
end

local function of_json_lines(text, path)
  local decode, xs, columns, count, axis = require("host").json.decode, {}, {}, 0, nil
  for line in text:gmatch("[^\r\n]+") do
    local ok, row = pcall(decode, line)
    if not ok or type(row) ~= "table" then usage(("line %d of '%s' is no JSON object"):format(count + 1, path)) end
    count = count + 1
    axis = axis or (row.epoch and "epoch" or row.step and "step" or "row")
    xs[count] = axis == "row" and count or tonumber(row[axis]) or count
    for _, name in ipairs(ordered.keys(row)) do
      local value = type(row[name]) == "string" and ({nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge})[row[name]] or row[name]
      if name ~= axis and type(value) == "number" then
        columns[name] = columns[name] or {}
        columns[name][count] = value
      end
    end
  end
  for _, values in pairs(columns) do
    for i = 1, count do values[i] = values[i] or 0 / 0 end
  end
  return run_of(axis or "epoch", xs, columns)
end

---Whether a name is that of a file of curves.
---@param name string
---@return boolean
function sources.is_file(name) return name:find("%.[ct]sv$") ~= nil or name:find("%.jsonl$") ~= nil end

---The curves of a file: CSV whose first column is the epoch (from 0) or the step, or JSON lines for a name that ends so.
---@param path string
---@return table run {axis, series = {name = {xs, ys}}}
function sources.of_file(path)
  local file = require("host").file
  if not file.exists(path) then usage(("there is no file '%s'"):format(path)) end
  return (path:find("%.jsonl$") and of_json_lines or of_csv)(file.read(path), path)
end

-- A list of numbers, of points {step =, value =}, or a tensor of one dimension.
local function line_of(name, values, epochs)
  if type(values) == "userdata" then values = values:tolist() end
  local line = {xs = {}, ys = {}}
  for i, value in ipairs(values) do
    if type(value) == "table" then
      if type(value.value) ~= "number" then usage(("point %d of '%s' has no number 'value'"):format(i, name)) end
      line.xs[i], line.ys[i] = tonumber(value.step) or i, value.value
    else
      if type(value) == "userdata" then value = value:item() end
      line.xs[i] = type(epochs) == "table" and type(epochs[i]) == "number" and epochs[i] or i
      line.ys[i] = type(value) == "number" and value or 0 / 0
    end
  end
  return line
end

local function is_series(value)
  if type(value) == "userdata" then return require("torch").is_tensor(value) and value:dim() == 1 end
  if type(value) ~= "table" or rawget(value, "history") or getmetatable(value) then return false end
  local first = value[1]
  if first == nil then return next(value) == nil end
  return type(first) ~= "table" or type(first.value) == "number"
end

local function of_table(history)
  local all = rawget(history, "history")
  local run, epochs = {axis = "epoch", series = {}}, history.epoch
  if all then  -- of train.fit: its epochs count from 0
    epochs = {}
    for i, epoch in ipairs(history.epoch or {}) do epochs[i] = epoch + 1 end
  else
    all = history
  end
  for name, values in pairs(all) do
    if is_series(values) and type(name) == "string" and not (name == "epoch" and all == history) then
      run.series[name] = line_of(name, values, epochs)
      local first = type(values) == "table" and values[1]
      if type(first) == "table" then run.axis = "step" end
    end
  end
  return run
end

local function is_run(value)
  if type(value) == "string" then return sources.is_file(value) end
  if type(value) ~= "table" or is_series(value) then return false end
  if rawget(value, "history") then return true end
  for _, each in pairs(value) do
    if is_series(each) then return true end
  end
  return false
end

local function run_from(value) return type(value) == "string" and sources.of_file(value) or of_table(value) end

---The runs of what a user gives: each with its name, nil if it is the only one.
---@param given table|string
---@return table[] runs {name, axis, series}
function sources.of(given)
  if type(given) == "string" then return {sources.of_file(given)} end
  if type(given) ~= "table" then
    usage(("the history must be a table or the name of a CSV file, got %s"):format(type(given)))
  end
  local names, several = ordered.keys(given), next(given) ~= nil and not rawget(given, "history")
  for _, name in ipairs(names) do several = several and is_run(given[name]) end
  if not several then return {of_table(given)} end
  local runs = {}
  for i, name in ipairs(names) do
    runs[i] = run_from(given[name])
    runs[i].name = tostring(name)
  end
  return runs
end

---The names of all series of some runs: the loss first, the others sorted.
---@param runs table[]
---@return string[]
function sources.names(runs)
  local seen, names, first = {}, {}, {}
  for _, run in ipairs(runs) do
    for name in pairs(run.series) do seen[name] = true end
  end
  for _, name in ipairs {"loss", "val_loss"} do
    if seen[name] then
      first[#first + 1] = name
      seen[name] = nil
    end
  end
  for name in pairs(seen) do names[#names + 1] = name end
  table.sort(names)
  return table.move(names, 1, #names, #first + 1, first)
end

return sources
