-- Runs of an MLflow store and files of curves, by the words of a command line.
local panels = require "train.plot.panels"
local sources = require "train.plot.sources"
local vm = require "native.vm"

local runs = {}

local SHOWN <const> = 20  -- runs in an error's list

local function fail(message, hint) vm.raise("usage", message, hint) end

-- The database of --store: a path, or a tracking URI.
local function path_of(store)
  local track = require "native.track"
  if store and not store:find("^%a[%w+]*:") then return store end
  return (track.resolve(store or vm.getenv("MLFLOW_TRACKING_URI")):gsub("^sqlite:///", ""))
end

local Store = {}
Store.__index = Store

-- The runs that are there, read once.
local function list(self)
  if not self.listed then
    if not require("host").file.exists(self.path) then
      fail(("there is no store '%s'"):format(self.path), "--store PATH names the mlflow.db")
    end
    self.listed = require("native.track_reader").runs(self.path)
  end
  return self.listed
end

local function text_of(run)
  local day = os.date("%Y-%m-%d %H:%M", run.start_time // 1000)
  return ("%s  %s  %s  %s"):format(run.run_id, day, run.status, (run.run_name:gsub("%c", "?")))
end

---The runs as lines of text, the latest first.
---@param found? table[] only these
---@return string
function Store:text(found)
  found = found or list(self)
  if #found == 0 then return "  none" end
  local lines = {}
  for i = 1, math.min(#found, SHOWN) do lines[i] = "  " .. text_of(found[i]) end
  if #found > SHOWN then lines[#lines + 1] = ("  and %d more"):format(#found - SHOWN) end
  return table.concat(lines, "\n")
end

-- Those runs that a test accepts.
local function those(self, accepts)
  local found = {}
  for _, run in ipairs(list(self)) do
    if accepts(run) then found[#found + 1] = run end
  end
  return found
end

-- By id, else by name, else by the beginning of the id.
local function find(self, word)
  local lower = word:lower()
  for _, accepts in ipairs {
    function(run) return run.run_id == word end,
    function(run) return run.run_name == word end,
    function(run) return run.run_id:sub(1, #lower) == lower end,
  } do
    local found = those(self, accepts)
    if #found == 1 then return found[1] end
    if #found > 1 then
      fail(("'%s' is the name or the beginning of the id of %d runs; give more of the id:\n%s"):format(word, #found,
        self:text(found)))
    end
  end
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
  local found = find(self, word)
  if not found then return nil end
  return {name = found.run_name ~= "" and found.run_name or found.run_id:sub(1, 8), id = found.run_id, axis = "step",
    names = found.metrics}
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
        local line, last = {xs = {}, ys = {}}, 0
        for _, point in ipairs(has[name] and require("native.track_reader").points(self.path, run.id, name) or {}) do
          if line.xs[last] ~= point.step then last = last + 1 end  -- the latest of one step counts
          line.xs[last], line.ys[last] = point.step, point.value
        end
        if has[name] then run.series[name] = line end
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
function runs.open(store) return setmetatable({path = path_of(store)}, Store) end

return runs
