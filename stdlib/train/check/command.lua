-- `trainhost check SCRIPT ...`: mistakes that show before the script runs; --explain runs it up to its first training.
local check = require "train.check"
local describe <const> = require("host.check").describe
local file = require "native.file"
local host = require "host"
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

-- What the training refused may be what the text has shown already: the words before the hints say so.
local function is_known(findings, refused)
  for _, finding in ipairs(findings) do
    local core = finding.message:gsub("^train%.[%w.]+: ", ""):match("^[^;(,]*"):gsub("%s+$", "")
    if core ~= "" and refused.message:find(core, 1, true) then return true end
  end
  return false
end

local function show(findings, json)
  if json then
    print(#findings == 0 and "[]" or host.json.encode(findings))
    return
  end
  for _, finding in ipairs(findings) do
    print(("%s:%d: %s"):format(finding.file, finding.line, (describe(finding):gsub("%s*\n%s*", " "))))
  end
end

-- {paths, explain, json, rest}; nil and what is wrong.
local function parse(words)
  local line = {paths = {}, rest = {}}
  for i, word in ipairs(words) do
    if word == "--" then
      line.rest = table.move(words, i + 1, #words, 1, {})
      break
    elseif word == "--explain" or word == "--json" then
      line[word:sub(3)] = true
    elseif word:sub(1, 1) == "-" then
      return nil, ("unknown option '%s'"):format(word)
    else
      line.paths[#line.paths + 1] = word
    end
  end
  if #line.paths == 0 then return nil, "which script?" end
  if line.explain and (#line.paths ~= 1 or file.is_folder(line.paths[1])) then return nil, "--explain takes one script" end
  for _, path in ipairs(line.paths) do
    if not file.exists(path) then return nil, ("there is no file '%s'"):format(path) end
  end
  return line
end

---@param words string[] what follows `check`
---@return integer code 0: nothing found, 1: something, 2: wrong command line
return function(words)
  if usage.asked("check", words) then return CLEAN end
  local line, problem = parse(words)
  if not line then return wrong_usage(problem) end
  local list, findings = {}, {}
  for _, path in ipairs(line.paths) do files_of(path, list) end
  for _, path in ipairs(list) do
    for _, finding in ipairs(check(file.read(path), path)) do
      finding.file = path
      findings[#findings + 1] = finding
    end
  end
  local explained
  if line.explain then
    explained = require("train.check.explain")(line.paths[1], line.rest)
    if explained.refused and not is_known(findings, explained.refused) then findings[#findings + 1] = explained.refused end
  end
  show(findings, line.json)
  if explained and not line.json then
    for _, text in ipairs(explained.lines) do print(text) end
  end
  return #findings == 0 and CLEAN or FOUND
end
