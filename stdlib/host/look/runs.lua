-- `trainhost runs`: the runs of a store as a table.
local command_line = require "host.look.command_line"
local figures = require "host.look.figures"
local host = require "host"
local keywords = require "host.keywords"
local store_of = require "host.look.store"
local terminal = require "host.look.terminal"
local vm = require "native.vm"

local LIMIT <const>, METRICS <const>, PARAMS <const> = 20, 4, 3
local KNOWN <const> = {["--experiment"] = "text", ["--sort"] = "text", ["--filter"] = "text", ["--limit"] = "count",
  ["--metric"] = "list", ["--param"] = "list", ["--uri"] = "text", ["--json"] = "flag", ["--color"] = "flag",
  ["--no-color"] = "flag"}
local ATTRIBUTES <const> = {age = "start_time DESC", start_time = "start_time ASC", end_time = "end_time ASC", name = "run_name ASC",
  run_name = "run_name ASC", status = "status ASC", id = "run_id ASC", run_id = "run_id ASC", user = "user_id ASC"}

local function wrong(text, ...) vm.raise("usage", text:format(...)) end

-- What --sort asks for: MLflow's order, or the field that is sorted by here; and the metric that it is of.
local function order_of(sort)
  if not sort then return {} end
  local name, direction = sort:match("^(.-)%s+([aAdD][eE]?[sS][cC])$")
  name, direction = name or sort, direction and direction:upper()
  if direction and direction ~= "ASC" and direction ~= "DESC" then wrong("--sort expects asc or desc after the name, got '%s'", sort) end
  if name == "duration" then return {duration = direction or "ASC"} end
  local attribute = ATTRIBUTES[name:gsub("^attributes%.", "")]
  if attribute then
    if direction and name == "age" then direction = direction == "ASC" and "DESC" or "ASC" end  -- the youngest began last
    return {order_by = {"attributes." .. (direction and attribute:gsub("%u+$", direction) or attribute)}}
  end
  local kind, key = name:match("^(%a+)%.(.+)$")
  if kind ~= "metrics" and kind ~= "params" and kind ~= "tags" then kind, key = "metrics", name end
  if key:find("[`\"]") then wrong("--sort: '%s' cannot be sorted by", key) end
  direction = direction or kind == "metrics" and figures.direction(key) == "max" and "DESC" or "ASC"
  return {order_by = {("%s.`%s` %s"):format(kind, key, direction)}, kind = kind, key = key}
end

-- A name that none of the runs has is a mistake.
local function check_names(runs, kind, names, option)
  if #runs == 0 then return end
  local all = {}
  for _, run in ipairs(runs) do
    for name in pairs(run[kind]) do all[name] = true end
  end
  local list = figures.ordered(all)
  for _, name in ipairs(names) do
    if not all[name] then
      local hint = keywords.did_you_mean(name, list)
      wrong("%s: none of these runs has the %s '%s'%s there are: %s", option, kind:sub(1, -2), name,
        hint and "; " .. hint .. ";" or ";", #list > 0 and keywords.listed(list, hint ~= nil) or "none")
    end
  end
end

local function search(store, options)
  local order, most = order_of(options.sort), options.limit or LIMIT
  local experiment = options.experiment and store:experiment(options.experiment)
  local runs = store:search {experiment = experiment, filter = options.filter, order_by = order.order_by,
    most = not order.duration and most + 1 or nil}
  local now = vm.time()
  for _, run in ipairs(runs) do run.is_left = store:is_left(run) end
  if order.duration then
    local at = {}
    for i, run in ipairs(runs) do at[run] = {figures.seconds_of(run, now) or math.huge, i} end
    table.sort(runs, function(a, b)
      local x, y = at[a], at[b]
      if x[1] == y[1] then return x[2] < y[2] end
      if order.duration == "ASC" then return x[1] < y[1] end
      return x[1] > y[1]
    end)
  end
  local has_more = #runs > most
  for i = #runs, most + 1, -1 do runs[i] = nil end
  if order.key then check_names(runs, order.kind, {order.key}, "--sort") end
  return runs, order, has_more, now
end

-- The metrics that are shown: those asked for, else that of the order and those that most runs have.
local function metrics_of(runs, order, asked)
  if asked then return asked end
  local count, names = {}, {}
  for _, run in ipairs(runs) do
    for name in pairs(run.metrics) do
      if not name:find("^system/") then count[name] = (count[name] or 0) + 1 end
    end
  end
  if order.kind == "metrics" then
    names[1] = order.key
    count[order.key] = nil
  end
  local rest = figures.ordered(count)
  local rank = {}
  for i, name in ipairs(rest) do rank[name] = name:find("loss$") and i - 1000 or i end
  table.sort(rest, function(a, b)
    if count[a] ~= count[b] then return count[a] > count[b] end
    return rank[a] < rank[b]
  end)
  return table.move(rest, 1, METRICS - #names, #names + 1, names)
end

-- The parameters that are shown: those asked for, else the first whose values differ.
local function params_of(runs, order, asked)
  if asked then return asked end
  local first, differs, names = {}, {}, {}
  for _, run in ipairs(runs) do
    for name, value in pairs(run.params) do
      first[name] = first[name] or value
      if first[name] ~= value then differs[name] = true end
    end
  end
  if order.kind == "params" then
    names[1] = order.key
    differs[order.key] = nil
  end
  return table.move(figures.ordered(differs), 1, PARAMS - #names, #names + 1, names)
end

-- So many letters of the ids that they differ.
local function id_width(runs)
  local width = 8
  for i = 2, #runs do
    for k = 1, i - 1 do
      while width < 32 and runs[i].run_id:sub(1, width) == runs[k].run_id:sub(1, width) do width = width + 1 end
    end
  end
  return width
end

local function columns_of(store, runs, metrics, params, now)
  local id, name, experiment = {title = "id"}, {title = "name"}, {title = "experiment", may_go = true}
  local status, age, duration = {title = "status"}, {title = "age", right = true}, {title = "duration", right = true}
  local columns, width = {id, name, experiment, status, age, duration}, id_width(runs)
  local errors, experiments, has_errors = {title = "error", may_go = true}, {}, false
  for i, run in ipairs(runs) do
    id[i], name[i] = run.run_id:sub(1, width), terminal.clean(run.run_name)
    experiments[run.experiment_id] = true
    experiment[i] = terminal.clean(store:experiment_name(run.experiment_id))
    status[i] = {run.is_left and "RUNNING (process gone)" or run.status, figures.ink(run.is_left and "KILLED" or run.status)}
    age[i] = figures.age(now - run.start_time / 1000)
    local seconds = figures.seconds_of(run, now)
    duration[i] = seconds and figures.duration(seconds) or "?"
    errors[i] = terminal.clean(run.tags["trainhost.last_error"] or "")
    has_errors = has_errors or errors[i] ~= ""
  end
  if next(experiments, next(experiments)) == nil then table.remove(columns, 3) end
  for _, key in ipairs(metrics) do
    local column = {title = key, right = true, may_go = true}
    for i, run in ipairs(runs) do column[i] = run.metrics[key] and figures.short(run.metrics[key].value) or "" end
    columns[#columns + 1] = column
  end
  for _, key in ipairs(params) do
    local column = {title = key, may_go = true}
    for i, run in ipairs(runs) do column[i] = terminal.clean(run.params[key] or "") end
    columns[#columns + 1] = column
  end
  if has_errors then columns[#columns + 1] = errors end
  return columns
end

local function run(words, options)
  if #words > 0 then wrong("unexpected '%s': one run is shown by `trainhost show %s`", words[1], words[1]) end
  local store = store_of.open(options.uri)
  local runs, order, has_more, now = search(store, options)
  check_names(runs, "metrics", options.metric or {}, "--metric")
  check_names(runs, "params", options.param or {}, "--param")
  if options.json then
    local list = host.json.array {}
    for i, each in ipairs(runs) do list[i] = figures.plain(each, store:experiment_name(each.experiment_id), now) end
    print(host.json.encode(list, {indent = 2}))
  elseif #runs == 0 then
    print("no runs")
  else
    local metrics, params = metrics_of(runs, order, options.metric), params_of(runs, order, options.param)
    terminal.write_table(columns_of(store, runs, metrics, params, now), #runs, terminal.has_color(options))
  end
  if has_more then io.stderr:write(("there are more runs: --limit N shows more than %d\n"):format(#runs)) end
  for _, each in ipairs(options.json and {} or runs) do
    if each.is_left then
      io.stderr:write("`trainhost sync`, or the next start in its folder, ends a run whose process is gone\n")
      break
    end
  end
end

return command_line.verb("runs", KNOWN, run)
