-- A text file that may be edited, replaced or taken away while it is in use.
local file = require "native.file"
local vm = require "native.vm"

local WatchedFile = {}
WatchedFile.__index = WatchedFile

-- Seconds within which the clock of a file system may stand still: a second change within them shows in the text alone.
local GRAIN <const> = 0.05
-- Editors take a file away for a moment; a writer who stays longer than this has forgotten to close it.
local MOMENT <const>, LONGEST_WRITE <const> = 0.1, 2

---Reads the file; an io error if it cannot be read.
---@param path string absolute
---@return table watched with the `text` that was read last
function WatchedFile.open(path)
  local self = setmetatable({path = path}, WatchedFile)
  self._stamp = file.stamp(path)
  self.text, self._fresh = file.read(path), true
  return self
end

-- Why it cannot be read is kept until it can be, and told once it has lasted for a moment.
local function missing(self, why)
  self._gone_since = self._gone_since or vm.clock()
  self._why = why
  return false
end

---Has the text changed since it was read last? Then `text` is the new one. A file that is being written, or empty, is
---waited for.
---@return boolean
function WatchedFile:changed()
  local ok, stamp, when = pcall(file.stamp, self.path)
  if not ok then return missing(self, tostring(stamp)) end
  if not stamp then return missing(self, "the file is gone") end
  if stamp == self._stamp and not self._fresh and not self._gone_since then return false end
  local recent = math.abs(vm.time() - when) < LONGEST_WRITE
  if recent and file.is_being_written(self.path) then return false end
  local readable, text = pcall(file.read, self.path)
  if not readable then return missing(self, tostring(text)) end
  if text == "" and self.text ~= "" then return missing(self, "the file is empty") end
  local still, after = pcall(file.stamp, self.path)
  if not still or after ~= stamp then return false end
  self._stamp, self._fresh, self._gone_since, self._told = stamp, math.abs(vm.time() - when) < GRAIN, nil, nil
  if text == self.text then return false end
  self.text = text
  return true
end

---Why the file cannot be read, once each time that it has lasted for a moment.
---@param at_once? boolean also before that
---@return string?
function WatchedFile:complaint(at_once)
  if not self._gone_since or self._told then return nil end
  if not at_once and vm.clock() - self._gone_since < MOMENT then return nil end
  self._told = true
  return self._why
end

return WatchedFile
