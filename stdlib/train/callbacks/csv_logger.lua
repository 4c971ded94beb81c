-- train.CSVLogger: one line per epoch into a file, as CSV, or as JSON lines for a name that ends in .jsonl.
--
-- With compat = "keras" the columns are Keras's: those of the first epoch, doubled with val_ where it had no validation,
-- late names dropped, lines that end in \r\n.
local csv = require "train.csv"
local host = require "host"
local keywords = require "host.keywords"
local numbers = require "train.numbers"
local options = require "train.options"
local ordered = require "host.ordered"
local writable = require "train.writable"

local CSVLogger = {__name = "CSVLogger", group = "logging"}
CSVLogger.__index = CSVLogger

local function raise(kind, message, hint) require("native.vm").raise(kind, message, hint) end

-- What is in the file: its rows (of JSON lines the lines), and how lines end.
local function read(self)
  local text = host.file.exists(self.filename) and host.file.read(self.filename) or ""
  if not self._jsonl then return csv.rows(text, self.separator) end
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines, "\n"
end

-- The files that trainings of train.fit write now -> the callback.
local writing = {}

-- Another callback that writes the same file: of this training, or of one that this one runs in.
local function check_alone(self, state)
  local path = host.file.absolute(self.filename)
  for _, entry in ipairs(state.callback_list.entries) do
    local other = entry.callback
    if getmetatable(other) == CSVLogger and not rawequal(other, self) and host.file.absolute(other.filename) == path then
      raise("usage", ("two callbacks write '%s'"):format(self.filename), "give each a file of its own")
    end
  end
  if writing[path] and not rawequal(writing[path], self) then
    raise("usage", ("another training writes '%s' now"):format(self.filename), "give each a file of its own")
  end
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function CSVLogger:check(state)
  check_alone(self, state)
  writable.file(self.filename, state.dry_run)
  if not self.append or self._jsonl or state.compat == "keras" then return end
  local header = read(self)[1]
  if header and header[1] ~= "epoch" then
    raise("usage", ("cannot append to '%s': its first column is '%s', expected 'epoch'"):format(self.filename, header[1]),
      "a file of another separator, or of another program")
  end
end

---What a checkpoint keeps: the columns.
---@return table
function CSVLogger:state_dict() return {columns = self._columns} end

---The state of a training that goes on: so does its file, and the columns are read from it.
---@param _ table
function CSVLogger:load_state_dict(_) self._resumed = true end

function CSVLogger:on_train_begin(state)
  self._open, self._columns, self._size = false, nil, nil
  if state.arguments and not state.dry_run then  -- of train.fit, which always says when it ends
    self._path = host.file.absolute(self.filename)
    writing[self._path] = self
  end
end

local function close(self)
  if self._path and rawequal(writing[self._path], self) then writing[self._path] = nil end
  self._path = nil
end

function CSVLogger:on_train_end() close(self) end
function CSVLogger:on_exception() close(self) end

local function epoch_of(self, row)
  if not self._jsonl then return tonumber(row[1]) end
  local ok, value = pcall(host.json.decode, row)
  return ok and type(value) == "table" and tonumber(value.epoch) or nil
end

local function write_rows(self, rows)
  local lines = {}
  for i, row in ipairs(rows) do lines[i] = (self._jsonl and row or csv.line(row, self.separator)) .. self._line_end end
  host.file.write_atomic(self.filename, table.concat(lines))
  self._size = nil
end

-- Once a training, and only when its state could have been loaded: begins the file, or goes on with the one that is there.
local function open(self, state)
  if self._open then return end
  local goes_on, resumed = self.append or self._resumed, self._resumed
  self._open, self._resumed = true, nil
  self._keras = state.compat == "keras"
  self._line_end = self._keras and not self._jsonl and "\r\n" or "\n"
  if not goes_on then return host.file.write_atomic(self.filename, "") end
  local rows, line_end = read(self)
  if #rows == 0 then return end
  self._line_end = line_end
  local first = self._jsonl and 1 or 2
  if resumed then  -- epochs that come once more
    while #rows >= first and (epoch_of(self, rows[#rows]) or math.huge) >= state.epoch do rows[#rows] = nil end
  end
  if #rows == 0 then return host.file.write_atomic(self.filename, "") end
  local text = host.file.read(self.filename)
  if resumed then write_rows(self, rows)
  elseif text:sub(-1) ~= "\n" then host.file.write_atomic(self.filename, text .. line_end) end
  if self._jsonl then return end
  self._has_header = true
  if not self._keras or resumed then self._columns = table.move(rows[1], 2, #rows[1], 1, {}) end
end

function CSVLogger:on_epoch_begin(state)
  if not state.dry_run then open(self, state) end
end

local function append_line(self, line)
  local file, err = io.open(self.filename, "a")
  if not file then raise("io", ("cannot write '%s': %s"):format(self.filename, err)) end
  local size = file:seek("end")
  if self._size and size ~= self._size and not self._told then
    self._told = true
    host.log.warn(("CSVLogger: '%s' is not as it was left after the last epoch: does another program write it? Then the lines "
      .. "of both are in it"):format(self.filename))
  end
  local ok, problem = file:write(line, self._line_end)
  self._size = size + #line + #self._line_end
  local closed, why = file:close()
  if not ok or not closed then raise("io", ("cannot write '%s': %s"):format(self.filename, problem or why)) end
end

local function header(columns) return {"epoch", table.unpack(columns)} end

-- A late name widens the file: earlier lines get NA in the new column.
local function widen(self, columns)
  local rows, old = read(self), {}
  for i, name in ipairs(self._columns) do old[name] = i + 1 end
  for i = 2, #rows do
    local row = {rows[i][1]}
    for _, name in ipairs(columns) do row[#row + 1] = old[name] and rows[i][old[name]] or "NA" end
    rows[i] = row
  end
  rows[1] = header(columns)
  write_rows(self, rows)
  self._columns = columns
end

-- The columns of the first epoch; Keras adds those that a validation would have.
local function begin_columns(self, names)
  local columns = table.move(names, 1, #names, 1, {})
  if self._keras then
    local validated = false
    for _, name in ipairs(names) do validated = validated or name:find("^val_") ~= nil end
    for _, name in ipairs(validated and {} or names) do columns[#columns + 1] = "val_" .. name end
  end
  if not self._has_header then append_line(self, csv.line(header(columns), self.separator)) end
  self._columns, self._has_header = columns, nil
end

local function add_columns(self, names)
  local known = {}
  for _, name in ipairs(self._columns) do known[name] = true end
  local columns, count = {table.unpack(self._columns)}, #self._columns
  for _, name in ipairs(names) do
    if not known[name] then columns[#columns + 1] = name end
  end
  if #columns == count then return end
  table.sort(columns)
  widen(self, columns)
end

local function text_of(value)
  if value == nil then return "NA" end
  if type(value) == "boolean" then return value and "True" or "False" end
  if type(value) ~= "table" then return numbers.text(value) end
  local words = {}
  for i, item in ipairs(value) do words[i] = text_of(item) end
  return "[" .. table.concat(words, ", ") .. "]"
end

local function json_line(epoch, names, values)
  local words = {('"epoch": %d'):format(epoch)}
  for _, name in ipairs(names) do
    local value = values[name]
    local text = type(value) == "number" and numbers.json(value) or host.json.encode(value)
    words[#words + 1] = host.json.encode(name) .. ": " .. text
  end
  return "{" .. table.concat(words, ", ") .. "}"
end

function CSVLogger:on_epoch_end(state)
  if state.dry_run then return require("host.overlay").tell(self.filename) end
  open(self, state)
  local values = {}
  for key, value in pairs(state.logs) do values[key] = value end
  values.epoch = nil  -- the column is that of the count
  local names = ordered.keys(values)
  if self._jsonl then return append_line(self, json_line(state.epoch, names, values)) end
  if not self._columns then begin_columns(self, names) elseif not self._keras then add_columns(self, names) end
  local row = {tostring(state.epoch)}
  for _, name in ipairs(self._columns) do row[#row + 1] = text_of(values[name]) end
  append_line(self, csv.line(row, self.separator))
end

---Writes the logs of each epoch into a file: epoch from 0, sorted names, NA where an epoch did not log one, quoted as
---Python's csv does. A name that comes later widens the file. A name that ends in .jsonl gives JSON lines. Two that write one
---file are an error before the training; of two programs each adds its whole lines, and a warning says so.
---@param arguments table|string filename (required), separator = "," (one character), append = false (true goes on with
---the columns of the file), errors = "disable", budget; a string is the filename
---@param more? table the other options, after a string
---@return table callback
return function(arguments, more)
  arguments = options.after_first("train.CSVLogger", "filename", arguments, more)
  local self = setmetatable(options.of_callback("train.CSVLogger", arguments,
    {filename = keywords.required, separator = ",", append = false},
    {filename = "text", separator = "text", append = "flag"}), CSVLogger)
  if #self.separator ~= 1 or self.separator:find('["\r\n]') then
    raise("usage", ("train.CSVLogger: separator must be one character, no quote and no line break, got %s"):format(
      require("native.vm").describe(self.separator)))
  end
  self._jsonl = self.filename:find("%.jsonl$") ~= nil
  return self
end
