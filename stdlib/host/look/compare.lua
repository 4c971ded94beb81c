-- `trainhost compare RUN RUN ...`: in what runs differ, their metrics side by side, which is best.
local command_line = require "host.look.command_line"
local figures = require "host.look.figures"
local store_of = require "host.look.store"
local terminal = require "host.look.terminal"
local vm = require "native.vm"

local KNOWN <const> = {["--uri"] = "text", ["--metric"] = "list", ["--all"] = "flag", ["--color"] = "flag", ["--no-color"] = "flag"}

local function wrong(text, ...) vm.raise("usage", text:format(...)) end

-- The runs of the words, each once.
local function choose(store, words)
  local runs, seen = {}, {}
  for _, word in ipairs(words) do
    local run = store:must(word)
    if not seen[run.run_id] then runs[#runs + 1] = run end
    seen[run.run_id] = true
  end
  if #runs < 2 then wrong("which runs? two or more, got %d", #runs) end
  return runs
end

-- A column of titles, then one for each run.
local function columns_of(runs, title)
  local count, columns = {}, {{title = title}}
  for _, run in ipairs(runs) do count[run.run_name] = (count[run.run_name] or 0) + 1 end
  for i, run in ipairs(runs) do
    local id = run.run_id:sub(1, 8)
    local name = run.run_name == "" and id or count[run.run_name] > 1 and run.run_name .. " " .. id or run.run_name
    columns[i + 1] = {title = terminal.clean(name), right = true}
  end
  return columns
end

local function add(columns, row, name, cells)
  columns[1][row] = terminal.clean(name)
  for i = 2, #columns do columns[i][row] = cells[i - 1] or "" end
end

local function write_params(runs, all, color)
  local names, same = {}, 0
  for _, run in ipairs(runs) do
    for name in pairs(run.params) do names[name] = true end
  end
  local columns, row = columns_of(runs, "param"), 0
  for _, name in ipairs(figures.ordered(names)) do
    local cells, differs = {}, false
    for i, run in ipairs(runs) do
      differs = differs or run.params[name] ~= runs[1].params[name]
      cells[i] = run.params[name] and terminal.clean(run.params[name])
    end
    if differs or all then
      row = row + 1
      add(columns, row, name, cells)
    else
      same = same + 1
    end
  end
  if row > 0 then terminal.write_table(columns, row, color) end
  if same > 0 then print(("%s%d param%s the same (--all shows them)"):format(row > 0 and "" or "no param differs: ", same,
    same == 1 and " is" or "s are")) end
  if row > 0 or same > 0 then print() end
end

-- Which of the latest values is the best, where the name tells what is better: its number, nil if none or all are.
local function best_of(runs, name)
  local direction, best, differs = figures.direction(name), nil, false
  for i, run in ipairs(runs) do
    local value = run.metrics[name] and run.metrics[name].value
    if value and value == value then
      local other = best and runs[best].metrics[name].value
      differs = differs or other ~= nil and other ~= value
      if not best or (direction == "max" and value > other) or (direction == "min" and value < other) then best = i end
    end
  end
  return direction and differs and best or nil
end

local function names_of(runs, options)
  local names = {}
  for _, run in ipairs(runs) do
    for name in pairs(run.metrics) do
      if options.all or not name:find("^system/") then names[name] = true end
    end
  end
  if not options.metric then return figures.ordered(names) end
  for _, name in ipairs(options.metric) do
    local has = false
    for _, run in ipairs(runs) do has = has or run.metrics[name] ~= nil end
    if not has then
      local keywords, list = require "host.keywords", figures.ordered(names)
      local hint = keywords.did_you_mean(name, list)
      wrong("none of these runs has the metric '%s'%s there are: %s", name, hint and "; " .. hint .. ";" or ";",
        #list > 0 and keywords.listed(list, hint ~= nil) or "none")
    end
  end
  return options.metric
end

local function write_metrics(runs, names, color)
  if #names == 0 then return print("no metric was logged") end
  local columns, wins = columns_of(runs, "metric"), {}
  for row, name in ipairs(names) do
    local best, cells = best_of(runs, name), {}
    for i, run in ipairs(runs) do
      local point = run.metrics[name]
      cells[i] = point and {figures.short(point.value) .. (best == i and " *" or best and "  " or ""), best == i and "green" or nil}
    end
    if best then wins[#wins + 1] = {name, best} end
    add(columns, row, name, cells)
  end
  terminal.write_table(columns, #names, color)
  if #wins == 0 then return end
  print("\n* the best of the latest values")
  for _, win in ipairs(wins) do
    if win[1] == "val_loss" or #wins == 1 or (win[1] == "loss" and wins[2][1] ~= "val_loss") then
      local run = runs[win[2]]
      print(("best %s: %s (%s), %s"):format(win[1], terminal.clean(run.run_name), run.run_id:sub(1, 8),
        figures.short(run.metrics[win[1]].value)))
    end
  end
end

local function run(words, options)
  local store, now = store_of.open(options.uri), vm.time()
  if #words == 0 then store:must(nil) end
  local runs, color = choose(store, words), terminal.has_color(options)
  local names = names_of(runs, options)
  local columns = columns_of(runs, "run")
  local ids, statuses, ages, durations = {}, {}, {}, {}
  for i, each in ipairs(runs) do
    each.is_left = store:is_left(each)
    local seconds = figures.seconds_of(each, now)
    ids[i], statuses[i] = each.run_id:sub(1, 8), {each.status, figures.ink(each.status)}
    ages[i], durations[i] = figures.age(now - each.start_time / 1000), seconds and figures.duration(seconds) or "?"
  end
  for row, each in ipairs {{"id", ids}, {"status", statuses}, {"age", ages}, {"duration", durations}} do
    add(columns, row, each[1], each[2])
  end
  terminal.write_table(columns, 4, color)
  print()
  write_params(runs, options.all, color)
  write_metrics(runs, names, color)
end

return command_line.verb("compare", KNOWN, run)
