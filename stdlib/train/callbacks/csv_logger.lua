-- train.CSVLogger: one line per epoch into a file, as CSV, or as JSON lines for a name that ends in .jsonl.
local keywords = require "host.keywords"
local numbers = require "train.numbers"
local options = require "train.options"

local CSVLogger = {__name = "CSVLogger", group = "logging", state_fields = {"_columns"}}
CSVLogger.__index = CSVLogger

local function split(line, separator)
  local words, position = {}, 1
  while true do
    local start, stop = line:find(separator, position, true)
    words[#words + 1] = line:sub(position, start and start - 1)
    if not start then return words end
    position = stop + 1
  end
end

-- The columns of a file that is appended to.
local function read_columns(self)
  local file = io.open(self.filename, "r")
  if not file then return nil end
  local header = file:read("l")
  file:close()
  if not header or header == "" then return nil end
  local columns = split(header, self.separator)
  table.remove(columns, 1)
  return columns
end

function CSVLogger:on_train_begin()
  local host = require "host"
  local folder = self.filename:match("^(.*)/[^/]*$")
  if folder and folder ~= "" then host.file.mkdir(folder) end
  self._columns = self.append and not self._jsonl and read_columns(self) or nil
  if not self.append then host.file.write_atomic(self.filename, "") end
end

local function append_line(self, line)
  local file, err = io.open(self.filename, "a")
  if not file then require("native.vm").raise("io", ("cannot write '%s': %s"):format(self.filename, err)) end
  local ok, problem = file:write(line, "\n")
  local closed, why = file:close()
  if not ok or not closed then
    require("native.vm").raise("io", ("cannot write '%s': %s"):format(self.filename, problem or why))
  end
end

-- A late name widens the file: earlier lines get NA in the new column.
local function widen(self, columns)
  local host = require "host"
  local old, lines = self._columns, {}
  lines[1] = table.concat({"epoch", table.unpack(columns)}, self.separator)
  local first = true
  for line in io.lines(self.filename) do
    if not first then
      local words, by_name = split(line, self.separator), {}
      for i, name in ipairs(old) do by_name[name] = words[i + 1] end
      local row = {words[1]}
      for _, name in ipairs(columns) do row[#row + 1] = by_name[name] or "NA" end
      lines[#lines + 1] = table.concat(row, self.separator)
    end
    first = false
  end
  host.file.write_atomic(self.filename, table.concat(lines, "\n") .. "\n")
  self._columns = columns
end

function CSVLogger:on_epoch_end(state)
  local values, names = {}, {}
  for key, value in pairs(state.logs) do
    values[key] = value
    names[#names + 1] = key
  end
  table.sort(names)
  if self._jsonl then
    local words = {('"epoch": %d'):format(state.epoch)}
    for _, name in ipairs(names) do
      words[#words + 1] = require("host").json.encode(name) .. ": " .. numbers.json(values[name])
    end
    return append_line(self, "{" .. table.concat(words, ", ") .. "}")
  end
  if not self._columns then
    append_line(self, table.concat({"epoch", table.unpack(names)}, self.separator))
    self._columns = names
  else
    local known, late = {}, false
    for _, name in ipairs(self._columns) do known[name] = true end
    local columns = {table.unpack(self._columns)}
    for _, name in ipairs(names) do
      if not known[name] then
        columns[#columns + 1] = name
        late = true
      end
    end
    if late then
      table.sort(columns)
      widen(self, columns)
    end
  end
  local row = {tostring(state.epoch)}
  for _, name in ipairs(self._columns) do row[#row + 1] = values[name] ~= nil and numbers.text(values[name]) or "NA" end
  append_line(self, table.concat(row, self.separator))
end

---Writes the logs of each epoch into a file: epoch from 0, sorted names, NA where an epoch did not log one.
---@param arguments table|string filename (required), separator = ",", append = false; a string is the filename
---@return table callback
return function(arguments)
  if type(arguments) == "string" then arguments = {filename = arguments} end
  local self = setmetatable(keywords.check("train.CSVLogger", arguments, {
    filename = keywords.required, separator = ",", append = false, name = "CSVLogger",
  }), CSVLogger)
  options.check("train.CSVLogger", self, {filename = "text", separator = "text", append = "flag", name = "text"})
  self._jsonl = self.filename:find("%.jsonl$") ~= nil
  return self
end
