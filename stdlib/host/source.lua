-- A Lua file that may be edited while its code is in use, and the local modules that it requires: what train.reload and
-- host.reload share.
local WatchedFile = require "host.watched_file"
local file = require "native.file"
local log = require "native.log"
local ordered = require "host.ordered"
local vm = require "native.vm"

local LONGEST_REASON <const> = 400

local Source = {}
Source.__index = Source

-- What its code is of: the text and those of its modules.
local function key_of(self)
  local parts = {self.text}
  for _, name in ipairs(ordered.keys(self._modules)) do
    parts[#parts + 1] = name
    parts[#parts + 1] = self._modules[name].text
  end
  return table.concat(parts, "\0")
end

--- Opens a file; an io error if it cannot be read.
---@param path string
---@param where string the function whose errors and warnings name it
---@return table source with `path`, `name`, the `text` that was read last, and `key`, which differs where the code does
function Source.open(path, where)
  if type(path) ~= "string" then
    vm.raise("usage", ("%s: expected the path of a Lua file, got %s"):format(where, vm.describe(path)))
  end
  local self = setmetatable({path = path, where = where, name = path:match("([^/]+)$") or path, _modules = {}}, Source)
  local ok, opened = pcall(WatchedFile.open, file.absolute(path))
  if not ok then vm.raise("io", ("%s: %s"):format(where, type(opened) == "table" and opened.message or tostring(opened))) end
  self._file = opened
  self.text = self._file.text
  self.key = key_of(self)
  return self
end

-- Tells of a file that is missing, once.
local function complain(self, watched, name, at_once)
  local why = watched:complaint(at_once)
  if why then log.warn(("%s: %s: %s; the code of before goes on"):format(self.where, name, why)) end
end

--- Has the text, or that of a module, changed since it was read last?
---@return boolean
function Source:changed()
  local changed = self._file:changed()
  complain(self, self._file, self.name)
  if changed then self.text = self._file.text end
  for name, module in pairs(self._modules) do
    if module:changed() then changed, self._stale = true, true end
    complain(self, module, name)
  end
  if changed then self.key = key_of(self) end
  return changed
end

--- Tells what has not been told yet: nobody asks any more.
function Source:finish()
  complain(self, self._file, self.name, true)
end

--- The local modules that it requires.
---@return table<string, string> texts by name
function Source:modules()
  local texts = {}
  for name, module in pairs(self._modules) do texts[name] = module.text end
  return texts
end

-- The globals that a chunk sees. What it sets while it runs stays apart until it has ended well.
local function environment()
  local set, done = {}, false
  local globals = setmetatable({}, {
    __index = function(_, key)
      local value = set[key]
      if value ~= nil then return value end
      return _G[key]
    end,
    __newindex = function(_, key, value)
      if done then _G[key] = value else set[key] = value end
    end,
    __pairs = function() return pairs(_G) end,
  })
  return globals, function()
    done = true
    for key, value in pairs(set) do _G[key] = value end
    set = {}
  end
end

-- The file of a module that is not of the standard library or in C.
local function file_of(name)
  if type(name) ~= "string" or package.preload[name] then return nil end
  return package.searchpath(name, package.path)
end

-- Until it is closed, the local modules that are required are noted in `modules`.
local function note_modules(modules)
  local require_before = require
  function _G.require(name)
    local path = modules[name] == nil and file_of(name)
    local ok, watched = pcall(WatchedFile.open, path and file.absolute(path))
    if path and ok then modules[name] = watched end
    return require_before(name)
  end
  return setmetatable({}, {__close = function() _G.require = require_before end})
end

--- Compiles and runs the text; the local modules that it requires are followed from then on, and run again with it when
--- one of them changes.
---@return boolean ok
---@return any value what the file returns, or the error
function Source:run()
  local globals, keep = environment()
  local chunk, problem = load(self.text, "@" .. self.path, "t", globals)
  if not chunk then return false, problem end
  local loaded, modules, before = package.loaded, {}, {}
  for name, module in pairs(self._modules) do
    if self._stale then
      before[name], loaded[name] = loaded[name], nil
    else
      modules[name] = module
    end
  end
  local there = {}
  for name in pairs(loaded) do there[name] = true end
  local ok, value
  do
    local _ <close> = note_modules(modules)
    ok, value = pcall(chunk)
  end
  if ok then
    keep()
    self._modules, self._stale = modules, false
  else
    for name, module in pairs(modules) do
      if not there[name] then loaded[name] = nil end
      self._modules[name] = self._modules[name] or module
    end
    for name, module in pairs(before) do loaded[name] = module end
  end
  self.key = key_of(self)
  return ok, value
end

--- Warns of an edit that is not used, in one line.
---@param err any
function Source:refuse(err)
  local text = tostring(err):gsub("%s*\n%s*", "; ")
  if #text > LONGEST_REASON then text = text:sub(1, LONGEST_REASON) .. " ..." end
  log.warn(("%s: the edit of %s is not used, the code of before goes on: %s"):format(self.where, self.name, text))
end

return Source
