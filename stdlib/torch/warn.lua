-- Warnings as Python's: once for each line of the user's script and each text, on the log.
local log = require "native.log"
local vm = require "native.vm"

local seen <const> = {}

--- Warns, unless this line has had the same warning.
---@param message string
return function(message)
  local line = vm.user_line()
  local key = line .. " " .. message
  if seen[key] then return end
  seen[key] = true
  log.warn(line == "" and message or line .. ": " .. message)
end
