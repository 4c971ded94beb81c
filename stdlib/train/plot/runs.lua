-- Runs of an MLflow store and files of curves, by the words of a command line.
local panels = require "train.plot.panels"
local sources = require "train.plot.sources"
local store_of = require "host.look.store"

local runs = {}

local Store = {}
Store.__index = Store

---The store, opened when a run is asked for: files need none.
---@return table
function Store:opened()
  self.store = self.store or store_of.open(self.place)
  return self.store
end

---The run or the file of a word; nil if it is neither.
---@param word string
---@return table? run {name, axis, names, series}
function Store:run(word)
  if word == "" then return nil end
  if sources.is_file(word) and require("host").file.exists(word) then
    local run = sources.of_file(word)
    run.path, run.name, run.names = word, word:match("([^/]+)$"), sources.names {run}
    return run
  end
  local found = self:opened():find(word)
  if not found then return nil end
  local names = {}
  for name in pairs(found.metrics) do names[#names + 1] = name end
  return {name = found.run_name ~= "" and found.run_name or found.run_id:sub(1, 8), id = found.run_id, axis = "step", names = names}
end

---The names of what some runs have, in the order in which they are drawn.
---@param chosen table[]
---@return string[]
function runs.names(chosen)
  local all = {}
  for i, run in ipairs(chosen) do
    all[i] = {series = {}}
    for _, name in ipairs(run.names) do all[i].series[name] = true end
  end
  return sources.names(all)
end

-- The points of a metric by their steps; of several at one step the latest counts.
local function line_of(store, id, name)
  local values, line = {}, {xs = {}, ys = {}}
  for _, point in ipairs(store:points(id, name)) do
    if values[point.step] == nil then line.xs[#line.xs + 1] = point.step end
    values[point.step] = point.value
  end
  table.sort(line.xs)
  for i, step in ipairs(line.xs) do line.ys[i] = values[step] end
  return line
end

---Reads what is drawn of the runs; their names are made different.
---@param chosen table[]
---@param names string[]
function Store:read(chosen, names)
  local count = {}
  for _, run in ipairs(chosen) do
    if run.id then
      local has = {}
      for _, name in ipairs(run.names) do has[name] = true end
      run.series = {}
      for _, name in ipairs(names) do
        if has[name] then run.series[name] = line_of(self:opened(), run.id, name) end
      end
    end
    count[run.name] = (count[run.name] or 0) + 1
  end
  for _, run in ipairs(chosen) do
    if count[run.name] > 1 then run.name = run.path or run.name .. " " .. run.id:sub(1, 8) end
    if #chosen == 1 then run.name = nil end
  end
  return panels.align(chosen)
end

---@param store? string a path or a tracking URI; without it MLFLOW_TRACKING_URI, else ./mlflow.db
---@return table
function runs.open(store) return setmetatable({place = store}, Store) end

return runs
