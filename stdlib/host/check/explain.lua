-- `trainhost check --explain SCRIPT`: runs a script up to its first train.fit, as a dry run, and shows in which order its
-- callbacks hear each event.
local host = require "host"

local GROUPS <const> = {"metrics", "user", "policy", "logging", "checkpoint"}

-- What ends the script where the training would begin.
local Reached = {__name = "Reached", __tostring = function() return "the training is not begun" end}

local function show(list)
  local hooks, width = require "train.hooks", 0
  for _, event in ipairs(hooks.events) do width = math.max(width, #event) end
  for _, event in ipairs(hooks.events) do
    local names = {}
    for _, item in ipairs(list.handlers[event] or {}) do
      names[#names + 1] = ("%s (%s)"):format(item.entry.title, GROUPS[item.entry.rank])
    end
    if #names > 0 then print(("  %-" .. width .. "s  %s"):format(event, table.concat(names, ", "))) end
  end
end

---@param path string
---@param arguments string[] for the script
---@return integer code 0, or 1 where the script fails or has no training
return function(path, arguments)
  host.dry_run(true)
  local train, reached = require "train", nil
  local function stop(what, list)
    reached = reached or {what = what, list = list}
    error(setmetatable({kind = "internal", message = "the training is not begun"}, Reached), 0)
  end
  local prepare = require("train.arguments").prepare
  local function fit(given)
    local _, state = prepare(given)
    stop("train.fit", state.callback_list)
  end
  local of_loop = require "train.loop"
  local function state_of(fields)
    local state = of_loop(fields)
    stop("train.state", state.callback_list)
  end
  rawset(train, "fit", fit)
  rawset(train, "state", state_of)
  local name = path:match("^(.*)/[^/]*$") or "."
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(name, name, package.path)
  _G.arg = table.move(arguments, 1, #arguments, 1, {[0] = path})
  table.move(arguments, 1, #arguments, 1, host.args)
  local chunk, problem = loadfile(path, "t")
  local ok, err = false, problem
  if chunk then ok, err = pcall(chunk, table.unpack(arguments)) end
  if reached then
    print(("%s: the callbacks of its %s, in the order in which they hear each event"):format(path, reached.what))
    show(reached.list)
    return 0
  end
  if not ok then
    io.stderr:write(("%s\n"):format(tostring(err)))
    return 1
  end
  io.stderr:write(("%s: it ended without train.fit or train.state\n"):format(path))
  return 1
end
