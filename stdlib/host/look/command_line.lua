-- The words and the options of a verb's command line, and what becomes of an error.
local keywords = require "host.keywords"
local vm = require "native.vm"

local command_line = {}

local FAILED <const>, WRONG <const> = 1, 2

local function wrong(text, ...) vm.raise("usage", text:format(...)) end

local function take(options, kind, name, value)
  local key = name:match("^%-*(.*)$")
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

---Reads a command line.
---@param args string[]
---@param known table<string, string> "--log" = "flag", "--width" = "count", "--title" = "text", "--run" = "list"
---@return string[]? words nil: the usage is asked for
---@return table options by their names without dashes in front, "no_color"
function command_line.parse(args, known)
  local words, options, i = {}, {}, 1
  while i <= #args do
    local word = args[i]
    local name, value = word:match("^(%-%-[%w%-]+)=(.*)$")
    name = name or word
    local kind = known[name]
    if word == "--" then
      table.move(args, i + 1, #args, #words + 1, words)
      break
    elseif word == "--help" or word == "-h" then
      return nil, options
    elseif kind == "flag" and not value then
      options[word:gsub("^%-+", ""):gsub("-", "_")] = true
    elseif kind and kind ~= "flag" then
      if not value then
        i = i + 1
        value = args[i]
      end
      if not value then wrong("%s expects a value", name) end
      take(options, kind, name, value)
    elseif word:sub(1, 1) == "-" and #word > 1 then
      local names = {}
      for each in pairs(known) do names[#names + 1] = each end
      table.sort(names)
      local hint = keywords.did_you_mean(name, names)
      wrong("unknown option '%s'%s valid: %s", word, hint and "; " .. hint .. ";" or ";", keywords.listed(names, hint ~= nil))
    else
      words[#words + 1] = word
    end
    i = i + 1
  end
  return words, options
end

---A verb: parses its command line, runs it, says what was wrong.
---@param verb string
---@param known table as above
---@param run fun(words: string[], options: table)
---@return fun(args: string[]): integer code 0, 1 if what is asked for failed, 2 for a wrong command line
function command_line.verb(verb, known, run)
  return function(args)
    local done, err = pcall(function()
      local words, options = command_line.parse(args, known)
      if words then run(words, options) else print(require("host.usage")[verb]) end
    end)
    if done then return 0 end
    if type(err) ~= "table" and type(err) ~= "userdata" or err.kind == "interrupted" then error(err, 0) end
    local text = err.message:gsub("^train%.plot: ", "")
    io.stderr:write("trainhost ", verb, ": ", text, err.hint and err.hint ~= "" and (" (%s)"):format(err.hint) or "", "\n")
    return err.kind == "usage" and WRONG or FAILED
  end
end

return command_line
