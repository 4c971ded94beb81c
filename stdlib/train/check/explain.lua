-- `trainhost check --explain SCRIPT`: runs a script up to its first training, as a dry run: what that refuses, and in which
-- order its callbacks hear each event.
local host = require "host"

local GROUPS <const> = {"metrics", "user", "policy", "logging", "checkpoint"}
local WIDTH <const> = 110
local MOST <const> = 12  -- callbacks of one group at one event
local LONGEST <const> = 40  -- letters of a name

-- What ends the script where the training would begin.
local Reached = {__name = "Reached", __tostring = function() return "the training is not begun" end}

-- Titles with how often each stands there in a row, "note x3"; of many the first and the last ones.
local function shortened(titles)
  local list = {}
  for _, title in ipairs(titles) do
    local base, last = title:gsub("#%d+$", ""), list[#list]
    if last and last.base == base then last.count = last.count + 1 else list[#list + 1] = {title = title, base = base, count = 1} end
  end
  local words, left = {}, #list - MOST
  for i, each in ipairs(list) do
    if left <= 0 or i <= MOST // 2 or i > #list - MOST // 2 then
      local title = each.count > 1 and each.base or each.title
      if #title > LONGEST then title = title:sub(1, LONGEST - 4) .. " ..." end
      words[#words + 1] = each.count > 1 and ("%s x%d"):format(title, each.count) or title
    elseif i == MOST // 2 + 1 then
      words[#words + 1] = ("... %d more"):format(left)
    end
  end
  return words
end

-- Words behind a label, in as many lines as they take.
local function add_wrapped(lines, label, words, separator)
  local indent = (" "):rep(#label)
  local line = label
  for i, word in ipairs(words) do
    local piece = word .. (i < #words and separator or "")
    if #line + #piece > WIDTH and line ~= label and line ~= indent then
      lines[#lines + 1] = line:gsub("%s+$", "")
      line = indent
    end
    line = line .. piece
  end
  lines[#lines + 1] = line
end

-- Who hears each event, in the order in which they do.
local function order_of(what, list, lines)
  local events, width = {}, 0
  for _, event in ipairs(require("train.hooks").events) do
    local heard = list.handlers[event] and not (what == "train.fit" and event:find("^predict_"))
    if heard then
      events[#events + 1] = event
      width = math.max(width, #event)
    end
  end
  for _, event in ipairs(events) do
    local by_rank, words = {}, {}
    for _, item in ipairs(list.handlers[event] or {}) do
      local rank = item.entry.rank
      by_rank[rank] = by_rank[rank] or {}
      table.insert(by_rank[rank], item.entry.title)
    end
    for rank, group in ipairs(GROUPS) do
      for _, title in ipairs(shortened(by_rank[rank] or {})) do words[#words + 1] = ("%s (%s)"):format(title, group) end
    end
    if #words > 0 then add_wrapped(lines, ("  %-" .. width .. "s  "):format(event), words, ", ") end
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
  local is_there = file ~= nil
  return {file = is_there and file or path, line = is_there and math.tointeger(tonumber(line)) or 1, column = 1,
    message = is_there and message or text, severity = "error"}
end

---@param path string
---@param arguments string[] for the script
---@return table explained {lines, refused}: what is to be shown, and what was refused, as a finding with its file
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
    order_of(found.what, found.list, lines)
    return {lines = lines}
  end
  if not ok and getmetatable(err) ~= Reached then return {lines = lines, refused = place_of(tostring(err), path)} end
  return {lines = lines, refused = place_of("it ended without train.fit or train.state", path)}
end
