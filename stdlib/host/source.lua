-- A Lua file that may be edited while its code is in use: what train.reload and host.reload share.
local file = require "native.file"
local log = require "native.log"
local vm = require "native.vm"

local Source = {}
Source.__index = Source

-- Seconds within which the clock of a file system may stand still: a second change within them shows in the text alone.
local GRAIN <const> = 0.05

local function modified(path)
  local ok, when = pcall(file.modified, path)
  return ok and when or nil  -- editors take a file away for a moment
end

--- Opens a file; an io error if it cannot be read.
---@param path string
---@param where string the function whose errors and warnings name it
---@return table source with `path`, `name` and the `text` that was read last
function Source.open(path, where)
  if type(path) ~= "string" then
    vm.raise("usage", ("%s: expected the path of a Lua file, got %s"):format(where, vm.describe(path)))
  end
  local self = setmetatable({path = path, where = where, name = path:match("([^/]+)$") or path}, Source)
  self._absolute = file.absolute(path)
  self.text = file.read(self._absolute)
  self._modified, self._fresh = modified(self._absolute), true
  return self
end

--- Has the text changed since it was read last? Then `text` is the new one.
---@return boolean
function Source:changed()
  local when = modified(self._absolute)
  if not when or (when == self._modified and not self._fresh) then return false end
  local ok, text = pcall(file.read, self._absolute)
  if not ok or text == "" then return false end  -- it is being written
  self._modified, self._fresh = when, vm.time() - when < GRAIN
  if text == self.text then return false end
  self.text = text
  return true
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

--- Random numbers that are drawn until the returned function is called are given back: the training does not see that
--- code was loaded or tried.
---@return fun() restore
function Source.keep_random()
  local torch = package.loaded.torch
  local state = torch and torch.get_rng_state()
  return function()
    if state then torch.set_rng_state(state) end
  end
end

--- Compiles and runs the text.
---@return boolean ok
---@return any value what the file returns, or the error
function Source:run()
  local globals, keep = environment()
  local chunk, problem = load(self.text, "@" .. self.path, "t", globals)
  if not chunk then return false, problem end
  local ok, value = pcall(chunk)
  if ok then keep() end
  return ok, value
end

--- Warns of an edit that is not used.
---@param err any
function Source:refuse(err)
  log.warn(("%s: the edit of %s is not used, the code of before goes on: %s"):format(self.where, self.name,
    tostring(err)))
end

return Source
