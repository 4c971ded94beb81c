-- `trainhost plot RUN ... [METRIC ...]`: what runs have logged, drawn in the terminal or into a file.
local host = require "host"
local panels_of = require "train.plot.panels"
local runs_of = require "train.plot.runs"
local vm = require "native.vm"

local FAILED <const>, WRONG <const> = 1, 2
local FLAGS <const> = {["--log"] = true, ["--ascii"] = true, ["--together"] = true, ["--color"] = true, ["--no-color"] = true}
local VALUES <const> = {["--store"] = "text", ["--out"] = "text", ["--title"] = "text", ["--run"] = "list",
  ["--metric"] = "list", ["--width"] = "count", ["--height"] = "count"}

local function wrong(text, ...) vm.raise("usage", text:format(...)) end

local function take(options, name, value)
  local kind, key = VALUES[name], name:sub(3)
  if kind == "list" then
    options[key] = options[key] or {}
    table.insert(options[key], value)
  elseif kind == "count" then
    local count = math.tointeger(tonumber(value))
    if not count or count < 1 then wrong("%s expects a whole number above 0, got '%s'", name, value) end
    options[key] = count
  else
    options[key] = value
  end
end

-- The words and the options of a command line.
local function parse(args)
  local words, options, i = {}, {}, 1
  while i <= #args do
    local word = args[i]
    local name, value = word:match("^(%-%-[%w%-]+)=(.*)$")
    name = name or word
    if word == "--" then
      table.move(args, i + 1, #args, #words + 1, words)
      break
    elseif word == "--help" or word == "-h" then
      return nil
    elseif FLAGS[word] then
      options[word:sub(3):gsub("-", "_")] = true
    elseif VALUES[name] then
      if not value then
        i = i + 1
        value = args[i]
      end
      if not value then wrong("%s expects a value", name) end
      take(options, name, value)
    elseif word:sub(1, 1) == "-" and #word > 1 then
      local known = {}
      for _, all in ipairs {FLAGS, VALUES} do
        for each in pairs(all) do known[#known + 1] = each end
      end
      table.sort(known)
      wrong("unknown option '%s'%s", word, require("train.nearest").suggest(name, known))
    else
      words[#words + 1] = word
    end
    i = i + 1
  end
  return words, options
end

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
  wrong("'%s' is no run of '%s', nor the one beginning of an id; there are:\n%s", word, store.path, store:text())
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
  if #chosen == 0 then wrong("which run? In '%s' there are:\n%s", store.path, store:text()) end
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

local function is_utf8()
  for _, name in ipairs {"LC_ALL", "LC_CTYPE", "LANG"} do
    local value = vm.getenv(name)
    if value and value ~= "" then return value:lower():find("utf%-?8") ~= nil end
  end
  return false
end

local function show(panels, options, x_label)
  local is_tty = host.is_tty("stdout")
  local no_color = vm.getenv("NO_COLOR")
  local color = options.color or is_tty and not (no_color and no_color ~= "") and vm.getenv("TERM") ~= "dumb"
  io.stdout:write(require("train.plot.terminal")(panels, {
    width = options.width or host.terminal_width("stdout") or 80,
    height = options.height or (host.terminal_height("stdout") or 25) - 1,  -- the prompt has the last line
    unicode = not options.ascii and is_utf8(), color = color and not options.no_color, log = options.log or false,
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

local function run(args)
  local words, options = parse(args)
  if not words then
    print(require("host.usage").plot)
    return
  end
  local store = runs_of.open(options.store)
  local chosen, names = choose(store, words, options)
  local x_label = store:read(chosen, names)
  if options.out then
    print(require("train.plot")(as_history(chosen, names), options.out, {series = names, x_label = x_label, title = options.title,
      log = options.log or false, panels = not options.together, width = options.width, height = options.height}))
  else
    show(panels_of.of(chosen, names, options.together or false), options, x_label)
  end
end

---Draws what the command line asks for.
---@param args string[]
---@return integer code 0, 1 if a file cannot be read or written, 2 for a wrong command line
return function(args)
  local done, err = pcall(run, args)
  if done then return 0 end
  if type(err) ~= "table" and type(err) ~= "userdata" or err.kind == "interrupted" then error(err, 0) end
  local text = err.message:gsub("^train%.plot: ", "")
  io.stderr:write("trainhost plot: ", text, err.hint and err.hint ~= "" and (" (%s)"):format(err.hint) or "", "\n")
  return err.kind == "usage" and WRONG or FAILED
end
