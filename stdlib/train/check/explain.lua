-- `trainhost check --explain SCRIPT`: runs a script up to its first training, as a dry run: what that refuses, and in which
-- order its callbacks hear each event.
local host = require "host"

local GROUPS <const> = {"metrics", "user", "policy", "logging", "checkpoint"}

-- What ends the script where the training would begin.
local Reached = {__name = "Reached", __tostring = function() return "the training is not begun" end}

local function order_of(list, lines)
  local hooks, width = require "train.hooks", 0
  for _, event in ipairs(hooks.events) do width = math.max(width, #event) end
  for _, event in ipairs(hooks.events) do
    local names = {}
    for _, item in ipairs(list.handlers[event] or {}) do
      names[#names + 1] = ("%s (%s)"):format(item.entry.title, GROUPS[item.entry.rank])
    end
    if #names > 0 then lines[#lines + 1] = ("  %-" .. width .. "s  %s"):format(event, table.concat(names, ", ")) end
  end
end

-- Ends the script at its first training, whatever it catches: what it would do then is not asked for.
local function watch(found)
  local train = require "train"
  local prepare, of_loop = require("train.arguments").prepare, require "train.loop"
  local function reach(what, list)
    found.what, found.list = found.what or what, found.list or list
    error(setmetatable({kind = "internal", message = "the training is not begun"}, Reached), 0)
  end
  rawset(train, "fit", function(given)
    local _, state = prepare(given)
    reach("train.fit", state.callback_list)
  end)
  rawset(train, "state", function(fields) reach("train.state", of_loop(fields).callback_list) end)
end

-- The file and line that an error names, if they are of the script or of a file beside it.
local function place_of(text, path)
  local file, line, message = text:match("^([^:\n]+):(%d+): (.*)$")
  -- Lua shortens long paths from the left.
  if file and file:sub(1, 3) == "..." and path:sub(-#file + 3) == file:sub(4) then file = path end
  if file then return {file = file, line = math.tointeger(tonumber(line)), text = message} end
  return {file = path, line = 1, text = text}
end

---@param path string
---@param arguments string[] for the script
---@return table explained {lines, refused = {file, line, text}}: what is to be shown, and what was refused
return function(path, arguments)
  host.dry_run(true)
  require("host.overlay").silent = true
  local found = {}
  watch(found)
  local name = path:match("^(.*)/[^/]*$") or "."
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(name, name, package.path)
  _G.arg = table.move(arguments, 1, #arguments, 1, {[0] = path})
  table.move(arguments, 1, #arguments, 1, host.args)
  local chunk, problem = loadfile(path, "t")
  local ok, err = false, problem
  if chunk then ok, err = pcall(chunk, table.unpack(arguments)) end
  local lines = {}
  if found.list then
    lines[1] = ("%s: the callbacks of its %s, in the order in which they hear each event"):format(path, found.what)
    order_of(found.list, lines)
    return {lines = lines}
  end
  if not ok and getmetatable(err) ~= Reached then return {lines = lines, refused = place_of(tostring(err), path)} end
  return {lines = lines, refused = {file = path, line = 1, text = "it ended without train.fit or train.state"}}
end
