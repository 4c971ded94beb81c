-- `trainhost show RUN`: all that there is of a run.
local command_line = require "host.look.command_line"
local figures = require "host.look.figures"
local host = require "host"
local store_of = require "host.look.store"
local terminal = require "host.look.terminal"
local vm = require "native.vm"

local SPARK <const>, ERRORS <const> = 24, 10
local KNOWN <const> = {["--uri"] = "text", ["--json"] = "flag", ["--color"] = "flag", ["--no-color"] = "flag"}

local color = false

local function title(text) print("\n" .. terminal.inked(text, "bold", color)) end

-- Names and texts below each other; a text of several lines goes on below its beginning.
local function write_pairs(heading, values)
  local names, width = {}, 0
  for name in pairs(values) do
    names[#names + 1] = name
    width = math.max(width, utf8.len(name) or #name)
  end
  if #names == 0 then return end
  table.sort(names)
  title(heading)
  for _, name in ipairs(names) do
    local lines = {}
    for line in (values[name] .. "\n"):gmatch("(.-)\r?\n") do lines[#lines + 1] = terminal.clean(line) end
    local space = (" "):rep(width - (utf8.len(name) or #name))
    print("  " .. terminal.clean(name) .. space .. "  " .. table.concat(lines, "\n" .. (" "):rep(width + 4)))
  end
end

-- The last, least and greatest value of a metric, and the line that its points make by their steps.
local function series_of(store, run, name)
  local points, values = store:points(run.run_id, name), {}
  local order = {}
  for i, point in ipairs(points) do order[i] = {point, i} end
  table.sort(order, function(a, b)
    if a[1].step ~= b[1].step then return a[1].step < b[1].step end
    return a[2] < b[2]
  end)
  local least, greatest
  for i, each in ipairs(order) do
    local point = each[1]
    values[i] = point.value
    if point.value == point.value then
      if not least or point.value < least.value then least = point end
      if not greatest or point.value > greatest.value then greatest = point end
    end
  end
  return {name = name, last = run.metrics[name], least = least, greatest = greatest, count = #points, values = values}
end

local function write_metrics(heading, all)
  if #all == 0 then return end
  title(heading)
  local columns = {{title = "  metric"}, {title = "last", right = true}, {title = "step", right = true}, {title = "min", right = true},
    {title = "at", right = true}, {title = "max", right = true}, {title = "at", right = true}, {title = "points", right = true},
    {title = "", may_go = true}}
  for row, each in ipairs(all) do
    local best = figures.direction(each.name)
    local function cell(point, is_best) return {point and figures.short(point.value) or "nan", is_best and "green" or nil} end
    local cells = {"  " .. terminal.clean(each.name), figures.short(each.last.value), tostring(each.last.step),
      cell(each.least, best == "min"), each.least and tostring(each.least.step) or "",
      cell(each.greatest, best == "max"), each.greatest and tostring(each.greatest.step) or "", tostring(each.count),
      #each.values > 1 and terminal.spark(each.values, SPARK) or ""}
    for i, text in ipairs(cells) do columns[i][row] = text end
  end
  terminal.write_table(columns, #all, color)
end

local function write_tree(store, run, path, indent)
  local count, bytes = 0, 0
  for _, item in ipairs(store:artifacts(run, path)) do
    local name = terminal.clean(item.path:match("([^/]+)$") or item.path)
    if item.is_dir then
      print(indent .. name .. "/")
      local below, more = write_tree(store, run, item.path, indent .. "  ")
      count, bytes = count + below, bytes + more
    else
      print(("%s%s  %s"):format(indent, name, terminal.inked(figures.size(item.file_size), "dim", color)))
      count, bytes = count + 1, bytes + item.file_size
    end
  end
  return count, bytes
end

local function context_of(input)
  for _, tag in ipairs(input.tags or {}) do
    if tag.key == "mlflow.data.context" then return tag.value end
  end
  return ""
end

-- What went wrong, the latest last.
local function errors_of(store, run)
  local lines = {}
  local text = run.tags["trainhost.last_error"] and store:artifact(run, "errors.jsonl")
  for line in (text or ""):gmatch("[^\n]+") do
    local ok, entry = pcall(host.json.decode, line)
    if ok and type(entry) == "table" then
      local at = {}
      for _, key in ipairs {"epoch", "step"} do
        if math.type(entry[key]) then at[#at + 1] = ("%s %s"):format(key, entry[key]) end
      end
      lines[#lines + 1] = (#at > 0 and table.concat(at, ", ") .. ": " or "") .. tostring(entry.text)
    end
  end
  if #lines == 0 then lines[1] = run.tags["trainhost.last_error"] end
  return lines
end

local function write_head(store, run, now)
  print(("%s  %s  %s"):format(terminal.inked(terminal.clean(run.run_name), "bold", color), run.run_id,
    terminal.inked(run.status, figures.ink(run.status), color)))
  if run.is_left then print("  its process is gone: `trainhost sync`, or the next start in its folder, ends it") end
  if run.stage == "deleted" then print("  it is deleted") end
  local seconds = figures.seconds_of(run, now)
  local rows = {{"experiment", ("%s (%s)"):format(store:experiment_name(run.experiment_id), run.experiment_id)},
    {"started", os.date("%Y-%m-%d %H:%M:%S", run.start_time // 1000) .. ", " .. figures.age(now - run.start_time / 1000) .. " ago"},
    {"duration", seconds and figures.duration(seconds)}, {"user", run.user_id ~= "" and run.user_id or nil},
    {"source", run.tags["mlflow.source.name"]}, {"commit", run.tags["mlflow.source.git.commit"]},
    {"nested in", run.tags["mlflow.parentRunId"]}, {"artifacts", run.artifact_uri}}
  for _, row in ipairs(rows) do
    if row[2] then print(("  %-10s  %s"):format(row[1], terminal.clean(row[2]))) end
  end
  local note = run.tags["mlflow.note.content"]
  if note then print("\n  " .. note:gsub("\n", "\n  ")) end
end

-- Tags that are no lines of their own above.
local function tags_of(run)
  local tags = {}
  for name, value in pairs(run.tags) do
    if name ~= "mlflow.note.content" and name ~= "mlflow.runName" then tags[name] = value end
  end
  return tags
end

local function write(store, run, now)
  write_head(store, run, now)
  write_pairs("Params", run.params)
  local logged, system = {}, {}
  for _, name in ipairs(figures.ordered(run.metrics)) do
    local list = name:find("^system/") and system or logged
    list[#list + 1] = series_of(store, run, name)
  end
  write_metrics("Metrics", logged)
  write_metrics("System metrics", system)
  write_pairs("Tags", tags_of(run))
  if #run.datasets > 0 then title("Inputs") end
  for _, input in ipairs(run.datasets) do
    local data = input.dataset
    print(("  %s  %s  %s"):format(terminal.clean(data.name), data.digest, context_of(input)))
  end
  if #run.models > 0 then title("Models") end
  for _, model in ipairs(run.models) do print(("  %s  step %s"):format(model.model_id, model.step or 0)) end
  if #store:artifacts(run, "") > 0 then
    title("Artifacts")
    local count, bytes = write_tree(store, run, "", "  ")
    print(("  %d file%s, %s"):format(count, count == 1 and "" or "s", figures.size(bytes)))
  end
  local errors = errors_of(store, run)
  if #errors > 0 then title("Errors") end
  if #errors > ERRORS then print(("  %d before"):format(#errors - ERRORS)) end
  for i = math.max(1, #errors - ERRORS + 1), #errors do print("  " .. terminal.inked(terminal.clean(errors[i]), "red", color)) end
end

local function run(words, options)
  if #words > 1 then vm.raise("usage", ("one run, got %d words: `trainhost compare` shows several"):format(#words)) end
  local store, now = store_of.open(options.uri), vm.time()
  local found = store:must(words[1])
  found.is_left = store:is_left(found)
  if options.json then
    print(host.json.encode(figures.plain(found, store:experiment_name(found.experiment_id), now), {indent = 2}))
  else
    color = terminal.has_color(options)
    write(store, found, now)
  end
end

return command_line.verb("show", KNOWN, run)
