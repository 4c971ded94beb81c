-- A store of runs, a file or a tracking server, looked at from outside: what is searched in it, runs by what is typed.
local json = require "native.json"
local keywords = require "host.keywords"
local reader = require "native.track_reader"
local vm = require "native.vm"

local store = {}

local PAGE <const>, SHOWN <const> = 1000, 20  -- runs that are asked for at once; that an error lists
local WORDS <const> = {NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge}
local LARGEST <const> = 0x1.fffffffffffffp+1023  -- as which infinity is stored

local Store = {}
Store.__index = Store

local function fail(message, hint) vm.raise("usage", message, hint) end

local function ask(self, path, request)
  local answer, message = reader.call(self.address, path, json.encode(request))
  return answer and json.decode(answer), message
end

local function present(value)
  if value ~= json.null then return value end
end

local function integer(value)
  value = present(value)
  return value and math.tointeger(tonumber(value)) or nil
end

local function number(value)
  if WORDS[value] then return WORDS[value] end
  value = tonumber(value) or 0
  return math.abs(value) == LARGEST and value * 2 or value
end

local function map(list)
  local values = {}
  for _, item in ipairs(list or {}) do values[item.key] = item.value end
  return values
end

-- A run as the store tells of it; metrics holds the latest point of each key.
local function run_of(from)
  local info, data, metrics = from.info, from.data or {}, {}
  for _, point in ipairs(data.metrics or {}) do
    metrics[point.key] = {value = number(point.value), step = integer(point.step) or 0, timestamp = integer(point.timestamp)}
  end
  return {run_id = info.run_id, run_name = present(info.run_name) or "", experiment_id = info.experiment_id,
    user_id = present(info.user_id) or "", status = info.status, start_time = integer(info.start_time) or 0,
    end_time = integer(info.end_time), artifact_uri = present(info.artifact_uri), stage = info.lifecycle_stage,
    metrics = metrics, params = map(data.params), tags = map(data.tags),
    datasets = from.inputs and from.inputs.dataset_inputs or {}, models = from.outputs and from.outputs.model_outputs or {}}
end

---Opens a store; a usage error if there is no such file.
---@param place? string a path or a tracking URI; without it MLFLOW_TRACKING_URI, else ./mlflow.db
---@return table
function store.open(place)
  local address = place
  if not place or place:find("^%a[%w+]*:") then
    address = require("native.track").resolve(place or vm.getenv("MLFLOW_TRACKING_URI")):gsub("^sqlite:///", "")
  end
  local is_server = address:find("^https?://") ~= nil
  if not is_server and not require("native.file").exists(address) then
    fail(("there is no store '%s'"):format(address), "--uri names an mlflow.db or a tracking server")
  end
  return setmetatable({address = address, is_server = is_server, shown = (address:gsub("://[^/@]*@", "://"))}, Store)
end

---The experiments that are not deleted, read once.
---@return table[] {experiment_id, name} each
function Store:experiments()
  if self.known then return self.known end
  local found, token = {}, nil
  repeat
    local page = ask(self, "experiments/search", {max_results = PAGE, view_type = "ACTIVE_ONLY", page_token = token}) or {}
    for _, each in ipairs(page.experiments or {}) do
      found[#found + 1] = {experiment_id = each.experiment_id, name = each.name}
    end
    token = present(page.next_page_token)
  until not token or token == ""
  self.known = found
  return found
end

---The experiment of a name or an id; a usage error if there is none.
---@param word string
---@return table
function Store:experiment(word)
  local names = {}
  for i, each in ipairs(self:experiments()) do
    if each.name == word then return each end
    names[i] = each.name
  end
  for _, each in ipairs(self:experiments()) do
    if each.experiment_id == word then return each end
  end
  local hint = keywords.did_you_mean(word, names)
  return fail(("'%s' has no experiment '%s'%s"):format(self.shown, word, hint and "; " .. hint or ""),
    "there are: " .. table.concat(names, ", "))
end

---The name of an experiment.
---@param id string
---@return string
function Store:experiment_name(id)
  for _, each in ipairs(self:experiments()) do
    if each.experiment_id == id then return each.name end
  end
  return id
end

---Runs that are not deleted, the latest first.
---@param options? {experiment: table, filter: string, order_by: string[], most: integer}
---@return table[]
function Store:search(options)
  options = options or {}
  local ids, found, token, most = json.array {}, {}, nil, options.most or math.huge
  for i, each in ipairs(options.experiment and {options.experiment} or self:experiments()) do ids[i] = each.experiment_id end
  if #ids == 0 then return found end
  repeat
    local page = ask(self, "runs/search", {experiment_ids = ids, filter = options.filter or "", run_view_type = "ACTIVE_ONLY",
      max_results = math.tointeger(math.min(PAGE, most - #found)), order_by = json.array(options.order_by or {}),
      page_token = token}) or {}
    for _, each in ipairs(page.runs or {}) do found[#found + 1] = run_of(each) end
    token = present(page.next_page_token)
  until not token or token == "" or #found >= most
  return found
end

---The run of an id, deleted or not; nil if there is none.
---@param id string
---@return table?
function Store:run(id)
  local answer = ask(self, "runs/get", {run_id = id})
  return answer and run_of(answer.run)
end

---Runs as lines of text.
---@param found? table[] default the latest
---@return string
function Store:text(found)
  found = found or self:search {most = SHOWN + 1}
  if #found == 0 then return "  none" end
  local lines = {}
  for i = 1, math.min(#found, SHOWN) do
    local run = found[i]
    lines[i] = ("  %s  %s  %s  %s"):format(run.run_id, os.date("%Y-%m-%d %H:%M", run.start_time // 1000), run.status,
      (run.run_name:gsub("%c", "?")))
  end
  if #found > SHOWN then lines[#lines + 1] = "  and more" end
  return table.concat(lines, "\n")
end

-- As a text in a filter; nil where it cannot be one.
local function quoted(text)
  if not text:find("'", 1, true) then return "'" .. text .. "'" end
  if not text:find('"', 1, true) then return '"' .. text .. '"' end
end

local function named(self, word)
  local text = quoted(word)
  if text then return self:search {filter = "attributes.run_name = " .. text} end
  local found = {}
  for _, run in ipairs(self:search()) do
    if run.run_name == word then found[#found + 1] = run end
  end
  return found
end

---The run that a word means: an id, a name, `last` (the one that was started last) or the beginning of an id; nil if
---there is none, a usage error if there are several.
---@param word string
---@return table?
function Store:find(word)
  if word == "" then return nil end
  local is_id = word:find("^%w+$") ~= nil
  local run = is_id and #word == 32 and self:run(word:lower())
  if run then return run end
  local found = named(self, word)
  if #found == 0 and word == "last" then return self:search {most = 1}[1] end
  if #found == 0 and is_id then found = self:search {filter = ("attributes.run_id LIKE '%s%%'"):format(word:lower())} end
  if #found > 1 then
    fail(("'%s' is the name or the beginning of the id of %d runs; give more of the id:\n%s"):format(word, #found,
      self:text(found)))
  end
  return found[1]
end

---A usage error that lists the runs that there are.
---@param word string
function Store:no_run(word)
  fail(("'%s' is no run of '%s', nor the one beginning of an id; there are:\n%s"):format(word, self.shown, self:text()))
end

---The run that a word means; a usage error if there is none.
---@param word? string
---@return table
function Store:must(word)
  if not word then fail(("which run? In '%s' there are:\n%s"):format(self.shown, self:text())) end
  return self:find(word) or self:no_run(word)
end

---The points of a metric by their time.
---@param run_id string
---@param key string
---@param skip? integer so many of the first are left out
---@return table[] {step, value, timestamp} each
function Store:points(run_id, key, skip) return reader.points(self.address, run_id, key, skip or 0) end

---One folder of a run's artifacts; none where it cannot be looked into from here.
---@param run table
---@param path string
---@return table[]
function Store:artifacts(run, path)
  local ok, found = pcall(reader.artifacts, self.address, run.artifact_uri or "", path)
  return ok and found or {}
end

---The text of an artifact; nil where there is none.
---@param run table
---@param path string
---@return string?
function Store:artifact(run, path)
  local target = os.tmpname()
  local ok = pcall(reader.artifact, self.address, run.artifact_uri or "", path, target)
  local file = ok and io.open(target, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  os.remove(target)
  return text or nil
end

---Does a run say that it runs whose process is no more? Its spool tells, where it lies beside the store or here.
---@param run table
---@return boolean
function Store:is_left(run)
  if run.status ~= "RUNNING" then return false end
  local folders = {".trainhost/runs"}
  if not self.is_server then folders[2] = (self.address:match("^(.*/)[^/]*$") or "") .. folders[1] end
  for _, folder in ipairs(folders) do
    if reader.is_left(folder, run.run_id) then return true end
  end
  return false
end

return store
