-- `trainhost tail [-f] RUN`: what a run has logged last, and what it logs from now on until it ends.
local command_line = require "host.look.command_line"
local figures = require "host.look.figures"
local host = require "host"
local keywords = require "host.keywords"
local store_of = require "host.look.store"
local terminal = require "host.look.terminal"
local vm = require "native.vm"

local LINES <const>, PAUSE <const> = 10, 0.5  -- seconds between two looks
local KNOWN <const> = {["-f"] = "flag", ["-n"] = "count", ["--metric"] = "list", ["--all"] = "flag", ["--uri"] = "text",
  ["--color"] = "flag", ["--no-color"] = "flag"}

local function wanted(options, name)
  if not options.metric then return options.all or not name:find("^system/") end
  for _, each in ipairs(options.metric) do
    if each == name then return true end
  end
  return false
end

-- Points that have come since the last look, by their time.
local function news(store, run, seen, options)
  local points = {}
  for _, name in ipairs(figures.ordered(run.metrics)) do
    local latest, known = run.metrics[name], seen[name]
    local mark = ("%s %s %s"):format(latest.timestamp, latest.step, latest.value)
    if wanted(options, name) and (not known or known.mark ~= mark) then
      known = known or {count = 0}
      seen[name] = known
      for _, point in ipairs(store:points(run.run_id, name, known.count)) do
        known.count = known.count + 1
        point.name, point.rank = name, #points
        points[#points + 1] = point
      end
      known.mark = mark
    end
  end
  table.sort(points, function(a, b)
    if a.timestamp ~= b.timestamp then return a.timestamp < b.timestamp end
    if a.step ~= b.step then return a.step < b.step end
    return a.rank < b.rank
  end)
  return points
end

-- A line for each step, with what was logged of it, in the order of their first points.
local function lines_of(points, color)
  local lines, open = {}, {}
  for _, point in ipairs(points) do
    local line = open[point.step]
    if not line or line.has[point.name] then
      line = {has = {}, os.date("%H:%M:%S", point.timestamp // 1000), terminal.inked("step " .. point.step, "bold", color)}
      open[point.step] = line
      lines[#lines + 1] = line
    end
    line.has[point.name] = true
    line[#line + 1] = ("%s %s"):format(terminal.clean(point.name), figures.short(point.value))
  end
  for i, line in ipairs(lines) do lines[i] = table.concat(line, "  ") end
  return lines
end

local function check_metrics(run, options)
  local names = figures.ordered(run.metrics)
  for _, name in ipairs(options.metric or {}) do
    if not run.metrics[name] and (#names > 0 and run.status ~= "RUNNING") then
      local hint = keywords.did_you_mean(name, names)
      vm.raise("usage", ("the run has no metric '%s'%s there are: %s"):format(name, hint and "; " .. hint .. ";" or ";",
        keywords.listed(names, hint ~= nil)))
    end
  end
end

local function write(lines)
  for _, line in ipairs(lines) do io.stdout:write(line, "\n") end
  io.stdout:flush()
end

-- Looks again until the run has ended.
local function follow(store, run, seen, options, color)
  local told = run.tags["trainhost.last_error"]
  while run.status == "RUNNING" or run.status == "SCHEDULED" do
    if store:is_left(run) then
      io.stderr:write("the run's process is gone: `trainhost sync`, or the next start in its folder, ends it\n")
      return
    end
    host.sleep(PAUSE)
    local now = store:run(run.run_id)
    if not now then vm.raise("tracking", ("the run %s is gone"):format(run.run_id)) end
    run = now
    write(lines_of(news(store, run, seen, options), color))
    local problem = run.tags["trainhost.last_error"]
    if problem and problem ~= told then write {terminal.inked("error: " .. terminal.clean(problem), "red", color)} end
    told = problem
  end
  local seconds = figures.seconds_of(run, vm.time())
  write {("%s after %s"):format(terminal.inked(run.status, figures.ink(run.status), color), figures.duration(seconds or 0))}
end

local function run(words, options)
  if #words > 1 then vm.raise("usage", ("one run, got %d words"):format(#words)) end
  local store, seen, color = store_of.open(options.uri), {}, terminal.has_color(options)
  local found = store:must(words[1])
  check_metrics(found, options)
  local lines = lines_of(news(store, found, seen, options), color)
  write(table.move(lines, math.max(1, #lines - (options.n or LINES) + 1), #lines, 1, {}))
  if options.f then follow(store, found, seen, options, color) end
end

return command_line.verb("tail", KNOWN, run)
