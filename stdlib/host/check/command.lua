-- `trainhost check SCRIPT ...`: mistakes that show before the script runs; --explain shows the callbacks of its train.fit.
local check = require "host.check"
local file = require "native.file"

local usage = require "host.usage"

local CLEAN <const>, FOUND <const> = 0, 1

local function wrong_usage(text) return usage.wrong("check", text) end

-- The Lua files of a file or folder; hidden ones, such as the editor's stubs, are left out.
local function files_of(path, list)
  if not file.is_folder(path) then
    list[#list + 1] = path
    return
  end
  for _, name in ipairs(file.list(path)) do
    local inner = path:gsub("/+$", "") .. "/" .. name
    local hidden = name:sub(1, 1) == "."
    if not hidden and (file.is_folder(inner) or name:find("%.lua$")) then files_of(inner, list) end
  end
end

---@param words string[] what follows `check`
---@return integer code 0: nothing found, 1: something, 2: wrong command line
return function(words)
  if usage.asked("check", words) then return CLEAN end
  local paths, explain, rest = {}, false, {}
  for i, word in ipairs(words) do
    if word == "--" then
      rest = table.move(words, i + 1, #words, 1, {})
      break
    elseif word == "--explain" then
      explain = true
    elseif word:sub(1, 1) == "-" then
      return wrong_usage(("unknown option '%s'"):format(word))
    else
      paths[#paths + 1] = word
    end
  end
  if #paths == 0 then return wrong_usage("which script?") end
  if explain and #paths ~= 1 then return wrong_usage("--explain takes one script") end
  local list, code = {}, CLEAN
  for _, path in ipairs(paths) do
    if not file.exists(path) then return wrong_usage(("there is no file '%s'"):format(path)) end
    files_of(path, list)
  end
  for _, path in ipairs(list) do
    for _, finding in ipairs(check.text(file.read(path), path)) do
      print(("%s:%d: %s"):format(path, finding.line, finding.text))
      code = FOUND
    end
  end
  if not explain then return code end
  return math.max(code, require("host.check.explain")(paths[1], rest))
end
