-- train.RemoteMonitor: posts the logs of each epoch to a server, as Keras's callback does.
local json = require "native.json"
local keywords = require "host.keywords"
local log = require("host").log
local numbers = require "train.numbers"
local options = require "train.options"
local ordered = require "host.ordered"
local vm = require "native.vm"

local RemoteMonitor = {__name = "RemoteMonitor", group = "logging", state_fields = {}}
RemoteMonitor.__index = RemoteMonitor

local WAIT <const> = 5  -- seconds at the end of a training for what has not been sent

-- --- Python's json.dumps

local ESCAPES <const> = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\f"] = "\\f",
  ["\b"] = "\\b"}

local function escaped(code)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
end

local function dump_string(value)
  value = value:gsub('[%c"\\]', function(c) return ESCAPES[c] or escaped(c:byte()) end)
  if not utf8.len(value) then value = value:gsub("[\128-\255]", "\u{FFFD}") end
  return '"' .. value:gsub(utf8.charpattern, function(c) return #c > 1 and escaped(utf8.codepoint(c)) or c end) .. '"'
end

-- Is there a number that JSON lacks? Keras sends NaN in a form, and nothing as JSON.
local function is_finite(value)
  if type(value) ~= "table" then return type(value) ~= "number" or value - value == 0 end
  for _, item in pairs(value) do
    if not is_finite(item) then return false end
  end
  return true
end

local dump

local function dump_table(value)
  local parts = {}
  if #value > 0 then
    for i, item in ipairs(value) do parts[i] = dump(item) end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  for i, name in ipairs(ordered.keys(value)) do parts[i] = dump_string(tostring(name)) .. ": " .. dump(value[name]) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

function dump(value)
  local kind = type(value)
  if kind == "number" then
    if value ~= value then return "NaN" end
    if value == math.huge or value == -math.huge then return value > 0 and "Infinity" or "-Infinity" end
    return numbers.text(value)
  end
  if kind == "table" then return dump_table(value) end
  if kind == "string" then return dump_string(value) end
  if value == nil or value == json.null then return "null" end
  if kind == "boolean" then return tostring(value) end
  vm.raise("usage", ("train.RemoteMonitor: the logs hold a %s, which has no JSON"):format(vm.describe(value)))
end

-- The names of logs and their values, in their order; those of a script's own table by name.
local function entries(logs)
  local names, values = {}, {}
  local function add(name, value)
    names[#names + 1] = name
    if type(value) == "userdata" and value ~= json.null then
      value = value:numel() == 1 and value:item() or value:tolist()
    end
    values[name] = value
  end
  if getmetatable(logs) ~= nil then
    for name, value in pairs(logs) do add(name, value) end
  else
    for _, name in ipairs(ordered.keys(logs)) do add(name, logs[name]) end
  end
  return names, values
end

-- {"epoch": 0, "loss": 0.5, ...}; a log of that name takes the place of the epoch.
local function body_of(state)
  local names, values = entries(state.logs or {})
  local parts = {'"epoch": ' .. dump(values.epoch == nil and state.epoch or values.epoch)}
  for _, name in ipairs(names) do
    if name ~= "epoch" then parts[#parts + 1] = dump_string(tostring(name)) .. ": " .. dump(values[name]) end
  end
  return "{" .. table.concat(parts, ", ") .. "}", is_finite(values)
end

local function form_text(text)
  return (text:gsub("[^%w_.~ -]", function(c) return ("%%%02X"):format(c:byte()) end):gsub(" ", "+"))
end

-- --- The callback

-- What a URL may not hold, as %XX: a space, letters beyond ASCII; the server's name is left as it is.
local function url_of(self)
  local server, rest = (self.root .. self.path):match("^(%a[%w+.-]*://[^/?#]*)(.*)$")
  return server .. rest:gsub("[^!#$%%&'()*+,/:;=?@~%w_.-]", function(c) return ("%%%02X"):format(c:byte()) end)
end

local function poster(self)
  if self._poster then return self._poster end
  local headers, has_type = {}, false
  for _, name in ipairs(ordered.keys(self.headers or {})) do
    headers[#headers + 1] = {name, self.headers[name]}
    has_type = has_type or name:lower() == "content-type"
  end
  if not has_type then
    headers[#headers + 1] = {"Content-Type",
      self.send_as_json and "application/json" or "application/x-www-form-urlencoded"}
  end
  self._poster = require("native.http").poster("train.RemoteMonitor", url_of(self), headers)
  return self._poster
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function RemoteMonitor:check(state)
  if not state.dry_run then poster(self) end
end

function RemoteMonitor:on_epoch_end(state)
  if state.dry_run then return end
  local body, finite = body_of(state)
  if self.send_as_json and not finite then
    if not self._told then
      log.warn("train.RemoteMonitor: JSON has no NaN and no infinity: epochs with one are not sent (Keras sends none either; "
        .. "a form, send_as_json = false, can hold them)")
    end
    self._told = true
    return
  end
  if not self.send_as_json then body = form_text(self.field) .. "=" .. form_text(body) end
  require("native.http").post(poster(self), body)
end

function RemoteMonitor:on_train_end()
  if not self._poster then return end
  local left = require("native.http").flush(self._poster, WAIT)
  if left > 0 then
    log.warn(("train.RemoteMonitor: %d epochs have not been sent after %d s, the server is slow: they are sent while this "
      .. "process lives"):format(left, WAIT))
  end
end

RemoteMonitor.on_exception = RemoteMonitor.on_train_end

local function check_headers(headers)
  if headers == nil then return end
  if type(headers) ~= "table" then
    vm.raise("usage", ("train.RemoteMonitor: headers must be a table of name -> text, got %s"):format(vm.describe(headers)))
  end
  for _, name in ipairs(ordered.keys(headers)) do
    local value = headers[name]
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      vm.raise("usage", ("train.RemoteMonitor: headers: the name of a header must be a word, got %s"):format(vm.describe(name)))
    end
    -- The value may be a secret: it is not shown.
    if type(value) ~= "string" or value:find("[\r\n%z]") or value:find("^%s") then
      vm.raise("usage", ("train.RemoteMonitor: headers: the value of %s must be a string of one line that begins with no space")
        :format(name))
    end
  end
end

---Posts the logs of each epoch to root .. path: a form with the field `field` that holds {"epoch": 0, "loss": ...} as JSON,
---or that JSON itself. A thread of the host sends, so a slow server costs the training nothing; a failure warns, once of
---each kind, and that epoch is not sent again; the end of a training waits at most 5 s. Proxies, certificates and .netrc
---are those of curl's environment.
---@param arguments? table root = "http://localhost:9000", path = "/publish/epoch/end/", field = "data", headers = nil (a
---table of name -> text), send_as_json = false, errors = "disable", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.RemoteMonitor", arguments,
    {root = "http://localhost:9000", path = "/publish/epoch/end/", field = "data", headers = keywords.none,
      send_as_json = false},
    {root = "text", field = "text", send_as_json = "flag"}), RemoteMonitor)
  if type(self.path) ~= "string" then
    vm.raise("usage", ("train.RemoteMonitor: path must be a string, got %s"):format(vm.describe(self.path)))
  end
  local scheme = (self.root .. self.path):lower():match("^(%a[%w+.-]*)://[^/?#]")
  if scheme ~= "http" and scheme ~= "https" then
    vm.raise("usage", 'train.RemoteMonitor: root must be the http:// or https:// address of a server')
  end
  check_headers(self.headers)
  return self
end
