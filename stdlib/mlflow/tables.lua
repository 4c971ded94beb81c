-- Tables of rows as artifacts: what Run:log_table writes, and mlflow.load_table reads; columns as pandas writes them.
local artifacts = require "mlflow.artifacts"
local ask = require "mlflow.ask"
local file = require "native.file"
local json = require "native.json"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local vm = require "native.vm"

local tables = {}

local TAG <const> = "mlflow.loggedArtifacts"
local PATIENCE <const> = 2  -- seconds that a script waits for the rows that its run has already

local function usage(where, message) vm.raise("usage", where .. ": " .. message) end

-- {a = {1, 2}, b = {3, 4}}, or one row {a = 1, b = 2}, as columns in order and rows.
local function read(data)
  local where = "mlflow.log_table"
  if type(data) ~= "table" or next(data) == nil then
    usage(where, "data must be a table of column -> list of values, got " .. vm.describe(data))
  end
  local meta = getmetatable(data)
  local columns = {}
  if meta and meta.__pairs then
    for name in pairs(data) do columns[#columns + 1] = name end
  else
    columns = ordered.keys(data)
  end
  local count
  for _, name in ipairs(columns) do
    local values = data[name]
    if type(name) ~= "string" then usage(where, "columns have names, got " .. vm.describe(name)) end
    if type(values) == "userdata" then values = values:tolist() end
    local length = type(values) == "table" and #values or nil
    if length and count and length ~= count then usage(where, "All arrays must be of the same length") end
    count = count or length
  end
  local rows = {}
  for i = 1, count or 1 do
    rows[i] = json.array{}
    for k, name in ipairs(columns) do
      local values = data[name]
      if type(values) == "userdata" then values = values:tolist() end
      local value
      if type(values) == "table" and count then value = values[i] else value = values end
      if value == nil then value = json.null end
      rows[i][k] = value
    end
  end
  return columns, rows
end

-- A table that is stored, with rows of another: columns of both, null where one has none.
local function joined(old, columns, rows)
  local places, all = {}, json.array{}
  for _, list in ipairs{old.columns, columns} do
    for _, name in ipairs(list) do
      if not places[name] then
        all[#all + 1] = name
        places[name] = #all
      end
    end
  end
  local result = json.array{}
  for _, part in ipairs{{old.columns, old.data}, {columns, rows}} do
    for _, row in ipairs(part[2]) do
      local whole = json.array{}
      for k = 1, #all do whole[k] = json.null end
      for k, name in ipairs(part[1]) do whole[places[name]] = row[k] end
      result[#result + 1] = whole
    end
  end
  return all, result
end

local function check_name(where, artifact_file)
  if type(artifact_file) ~= "string" then
    usage(where, "argument 'artifact_file' must be a string, got " .. vm.describe(artifact_file))
  end
  if not artifact_file:find("%.json$") then
    usage(where, ("Invalid artifact file path '%s'. Please ensure the file you are trying to log as a table has a file "
      .. "name with the '.json' extension."):format(artifact_file))
  end
end

-- The table of a run; nil if it has none.
local function stored(uri, artifact_file)
  for _, item in ipairs(artifacts.list(uri, artifact_file:match("^(.*)/[^/]*$"))) do
    if item.path == artifact_file then return json.decode(file.read(artifacts.fetch(uri, artifact_file))) end
  end
  return nil
end

-- What a run that goes on has of a table, and the list of its tables; nil where its store has not told within two seconds.
local function stored_before(run, artifact_file)
  local ok, old, named = pcall(ask.within, PATIENCE, function()
    local stored_run = require("mlflow.client")():get_run(run.info.run_id)
    return stored(stored_run.info.artifact_uri, artifact_file) or {}, stored_run.data.tags[TAG]
  end)
  if not ok and type(old) == "table" and old.kind == "interrupted" then error(old, 0) end
  if ok then return old, named and json.decode(named) or {} end
  return nil, type(old) == "table" and old.message or tostring(old)
end

-- The table as this process has it; its `file` is another one where the rows that the store has cannot be known.
local function table_of(run, artifact_file)
  local known = run._tables[artifact_file]
  if known then return known end
  known = {file = artifact_file, columns = {}, data = {}}
  run._tables[artifact_file] = known
  if not run._goes_on then return known end
  local old, named = stored_before(run, artifact_file)
  if old then
    known.columns, known.data = old.columns or {}, old.data or {}
    run._named_tables = run._named_tables or named
  else
    known.file = artifact_file:gsub("%.json$", ("-%d.json"):format(os.time()))
    run:log_error(("log_table: the rows that '%s' has cannot be read, new ones go to '%s': %s"):format(artifact_file, known.file,
      named))
  end
  return known
end

-- MLflow's pages show the tables that a tag names. One that cannot be known is left as it is.
local function name_table(run, name)
  local named = run._named_tables
  if not named then return end
  for _, entry in ipairs(named) do
    if entry.path == name then return end
  end
  named[#named + 1] = {path = name, type = "table"}
  run:set_tag(TAG, json.encode(named))
end

--- Adds rows to a table of a run, which is made if there is none.
---@private
---@param run Run
---@param data table
---@param artifact_file string
function tables.log(run, data, artifact_file)
  check_name("mlflow.log_table", artifact_file)
  local columns, rows = read(data)
  rows = json.decode(json.encode(json.array(rows), {nan = "null"}))  -- what the script does to its tables later is not in them
  local known = table_of(run, artifact_file)
  known.columns, known.data = joined(known, columns, rows)
  run:log_text(json.encode {columns = json.array(known.columns), data = json.array(known.data)}, known.file)
  name_table(run, known.file)
end

local parse = signature("mlflow.load_table", "artifact_file, run_ids=nil, extra_columns=nil")

--- Reads a table of several runs, their rows one below the other.
---@param artifact_file string "results.json"
---@param run_ids? string[] default all runs of the active experiment that have it
---@param extra_columns? string[] "run_id" and the like: columns of what the run is called
---@return table columns the values of each column by its name, in the order of the table; absent ones are nil
function tables.load_table(...)
  local artifact_file, run_ids, extra = parse(...)
  check_name("mlflow.load_table", artifact_file)
  local filter = ("tags.`mlflow.loggedArtifacts` LIKE '%%\"%s\"%%'"):format(artifact_file)
  if run_ids and #run_ids > 0 then
    filter = filter .. (" AND run_id IN ('%s')"):format(table.concat(run_ids, "','"))
  end
  local runs = require("mlflow.search").search_runs{filter_string = filter}
  if #runs == 0 then vm.raise("tracking", "mlflow: No runs found with the corresponding table artifact.") end
  if run_ids and #run_ids ~= #runs then
    require("native.log").warn("mlflow.load_table: Not all runs have the specified table artifact. Some runs will be "
      .. "skipped.")
  end
  local columns, rows = {}, {}
  for _, run in ipairs(runs) do
    local found = stored(run.info.artifact_uri, artifact_file)
    if not found then
      vm.raise("tracking", ("mlflow: Artifact %s not found for run %s."):format(artifact_file, run.info.run_id))
    end
    for _, name in ipairs(extra or {}) do
      found.columns[#found.columns + 1] = name
      for _, row in ipairs(found.data) do row[#found.columns] = run.info[name] or json.null end
    end
    columns, rows = joined({columns = columns, data = rows}, found.columns, found.data)
  end
  local result = ordered.new()
  for k, name in ipairs(columns) do
    local values = {}
    for i, row in ipairs(rows) do
      if row[k] ~= json.null then values[i] = row[k] end
    end
    result[name] = values
  end
  return result
end

return tables
