-- Takes back what event files hold from after a time: a training that goes on from then writes it once more.
local events = require "native.events"
local host = require "host"

local HEAD <const> = 12   -- length and its checksum, before the event
local TAIL <const> = 4    -- its own checksum
local MOMENT <const> = 9  -- "wall_time", a double, which each event begins with

-- How many bytes of a file are whole records of until `time`.
local function kept(path, time)
  local file <close> = assert(io.open(path, "rb"))
  local size, at = file:seek("end"), 0
  while at < size do
    file:seek("set", at)
    local begin = file:read(HEAD + MOMENT)
    if not begin or #begin < HEAD + MOMENT then break end
    local length = string.unpack("<I8", begin)
    if length < MOMENT or length > size - at - HEAD - TAIL then break end  -- of a writer that was killed
    if begin:byte(HEAD + 1) == 0x09 and string.unpack("<d", begin, HEAD + 2) > time then break end
    at = at + HEAD + length + TAIL
  end
  return at, size
end

-- Does a writer of this process have the file open, or is another process that named it still there?
local function is_written(name)
  if events.is_open(name) then return true end
  local pid = name:match("%.(%d+)%.%d+[^/]*$")
  return pid and tonumber(pid) ~= host.pid() and host.file.exists("/proc/" .. pid)
end

---Cuts the event files of a folder off after a time, but those that are being written.
---@param folder string
---@param time number seconds since 1970
return function(folder, time)
  for _, name in ipairs(host.file.is_folder(folder) and host.file.list(folder) or {}) do
    if name:find("^events%.out%.tfevents%.") and not is_written(name) then
      local path = folder .. "/" .. name
      local length, size = kept(path, time)
      if length == 0 then
        host.file.remove(path)
      elseif length < size then
        local file <close> = assert(io.open(path, "rb"))
        host.file.write_atomic(path, file:read(length))
      end
    end
  end
end
