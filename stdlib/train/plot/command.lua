-- `trainhost plot RUN ... [METRIC ...]`: what runs have logged, drawn in the terminal or into a file.
local command_line = require "host.look.command_line"
local host = require "host"
local panels_of = require "train.plot.panels"
local runs_of = require "train.plot.runs"
local terminal = require "host.look.terminal"
local vm = require "native.vm"

local KNOWN <const> = {["--log"] = "flag", ["--ascii"] = "flag", ["--together"] = "flag", ["--color"] = "flag", ["--no-color"] = "flag",
  ["--store"] = "text", ["--uri"] = "text", ["--out"] = "text", ["--title"] = "text", ["--run"] = "list", ["--metric"] = "list",
  ["--width"] = "count", ["--height"] = "count"}

local function wrong(text, ...) vm.raise("usage", text:format(...)) end

local function has(list, name)
  for _, each in ipairs(list) do
    if each == name then return true end
  end
  return false
end

local function add_run(store, chosen, word)
  local run = store:run(word)
  for _, each in ipairs(run and chosen or {}) do
    if each.id == run.id and each.path == run.path then return run end
  end
  if run then chosen[#chosen + 1] = run end
  return run
end

local function no_run(store, word)
  if require("train.plot.sources").is_file(word) then wrong("there is no file '%s'", word) end
  store:opened():no_run(word)
end

-- The first word is a run; a further one a metric of the runs before it, else a run, else a metric of any.
local function choose(store, words, options)
  local chosen, metrics, later = {}, {}, {}
  for _, word in ipairs(options.run or {}) do
    if not add_run(store, chosen, word) then no_run(store, word) end
  end
  for _, word in ipairs(words) do
    if #chosen == 0 then
      if not add_run(store, chosen, word) then no_run(store, word) end
    elseif has(runs_of.names(chosen), word) then
      metrics[#metrics + 1] = word
    elseif not add_run(store, chosen, word) then
      later[#later + 1] = word
    end
  end
  if #chosen == 0 then store:opened():must(nil) end
  local names = runs_of.names(chosen)
  table.move(later, 1, #later, #metrics + 1, metrics)
  for _, word in ipairs(options.metric or {}) do metrics[#metrics + 1] = word end
  for _, word in ipairs(metrics) do
    if not has(names, word) then
      wrong("'%s' is neither a metric of %s nor a run%s", word, #chosen == 1 and "this run" or "these runs",
        require("train.nearest").suggest(word, names))
    end
  end
  if #names == 0 then wrong("no metric was logged") end
  return chosen, #metrics > 0 and metrics or names
end

local function show(panels, options, x_label)
  io.stdout:write(require("train.plot.terminal")(panels, {
    width = options.width or host.terminal_width("stdout") or 80,
    height = options.height or (host.terminal_height("stdout") or 25) - 1,  -- the prompt has the last line
    unicode = not options.ascii and terminal.is_utf8(), color = terminal.has_color(options), log = options.log or false,
    title = options.title, x_label = x_label,
  }))
end

-- By their names, which differ, as train.plot takes them.
local function as_history(chosen, names)
  local by_name, plain = {}, {}
  for _, run in ipairs(chosen) do
    local series = {}
    for _, name in ipairs(names) do
      local line, points = run.series[name], {}
      for i, value in ipairs(line and line.ys or {}) do points[i] = {step = line.xs[i], value = value} end
      if line then series[name] = points end
    end
    by_name[run.name or ""], plain = series, series
  end
  return #chosen > 1 and by_name or plain
end

local function run(words, options)
  local store = runs_of.open(options.uri or options.store)
  local chosen, names = choose(store, words, options)
  local x_label = store:read(chosen, names)
  if options.out then
    print(require("train.plot")(as_history(chosen, names), options.out, {series = names, x_label = x_label, title = options.title,
      log = options.log or false, panels = not options.together, width = options.width, height = options.height}))
  else
    show(panels_of.of(chosen, names, options.together or false), options, x_label)
  end
end

return command_line.verb("plot", KNOWN, run)
