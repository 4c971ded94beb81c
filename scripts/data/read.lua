-- Reads the files of the scripts, those beside it by default: characters, sentence pairs, scores and series.
local torch = require "torch"

local read = {}

local folder = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

-- The lines of a file, the end of line of no system in them; `name` is a file beside this one.
local function lines(file, name)
  local next_line = assert(io.lines(file ~= "" and file or folder .. "/" .. name))
  return function()
    local line = next_line()
    return line and line:gsub("\r$", "")
  end
end

--- An error that names the file, if it has too few of what a script reads of it.
function read.at_least(file, name, count, least, what)
  if count < least then
    error(("%s is too short: expected at least %d %s, got %d"):format(file ~= "" and file or name, least, what, count), 0)
  end
end

local function split(line, separator)
  local fields = {}
  for field in (line .. separator):gmatch("(.-)" .. separator) do fields[#fields + 1] = field end
  return fields
end

--- The characters of a text as numbers, in the order of their codes: ids (a tensor), the list of characters, and
--- functions from text to ids and back.
function read.characters(file)
  local text = {}
  for line in lines(file, "sonnets.txt") do text[#text + 1] = line end
  text = table.concat(text, "\n") .. "\n"
  local pattern = utf8.len(text) and utf8.charpattern or "."
  local list, number = {}, {}
  for c in text:gmatch(pattern) do
    if not number[c] then
      number[c] = 0
      list[#list + 1] = c
    end
  end
  table.sort(list)
  for i, c in ipairs(list) do number[c] = i - 1 end
  local function encode(s)
    local ids = {}
    for c in s:gmatch(pattern) do ids[#ids + 1] = number[c] end
    return torch.tensor(ids, {dtype = torch.int64})
  end
  local function decode(ids)
    local out = {}
    for i, id in ipairs(ids:tolist()) do out[i] = list[id + 1] end
    return table.concat(out)
  end
  return encode(text), list, encode, decode
end

--- Lines `sentence <tab> sentence`: a list of {source = text, targets = texts}, a source once, in the file's order.
function read.sentence_pairs(file)
  local list, of = {}, {}
  for line in lines(file, "eng_deu.tsv") do
    local source, target = line:match "^([^\t]+)\t([^\t]+)"
    if source and not of[source] then
      of[source] = {source = source, targets = {}}
      list[#list + 1] = of[source]
    end
    if source then table.insert(of[source].targets, target) end
  end
  return list
end

--- Scores: users, items (lists of names), and {user, item, score} of each that is known, counted from 0. The file has
--- a line for each score (user, item, score ..., by commas or tabs) or a row for each user and a column for each item.
function read.scores(file)
  local users, items, known, number = {}, {}, {}, {[1] = {}, [2] = {}}
  local function place(list, names, name)
    if not names[name] then
      list[#list + 1] = name
      names[name] = #list - 1
    end
    return names[name]
  end
  local function add(user, item, score)
    if tonumber(score) then
      known[#known + 1] = {place(users, number[1], user), place(items, number[2], item), tonumber(score)}
    end
  end
  local columns
  for line in lines(file, "votes.csv") do
    local fields = split(line, line:find "\t" and "\t" or ",")
    if columns == nil then columns = #fields > 4 and fields end
    if not columns then
      add(fields[1], fields[2], fields[3])
    elseif fields ~= columns then
      for i = 2, #columns do add(fields[1], columns[i], fields[i] or "") end
    end
    columns = columns or false
  end
  return users, items, known
end

--- A series: a line `time,value` for each; the times and the values as lists.
function read.series(file)
  local times, values = {}, {}
  for line in lines(file, "elnino.csv") do
    local time, value = line:match "^([^,]+),([^,]+)"
    if tonumber(value) then times[#times + 1], values[#values + 1] = time, tonumber(value) end
  end
  return times, values
end

return read
