-- `trainhost sync [FOLDER]`: stores what processes that are no more have logged in a folder and not stored.
local track = require "native.track"
local usage = require "host.usage"
local vm = require "native.vm"

local PATIENCE <const> = 60  -- seconds without progress

local function plural(count, what) return ("%d %s%s"):format(count, what, count == 1 and "" or "s") end

-- Waits for as long as records are stored; returns how many are not.
local function wait()
  local least
  repeat
    local done, waiting, held = track.flush(PATIENCE)
    if done then return held end
    if vm.stop_wished() then return waiting end
    local progress = not least or waiting < least
    least = waiting
  until not progress
  return least
end

---@param arg string[]
---@return integer status
return function(arg)
  if usage.asked("sync", arg) then return 0 end
  if (arg[1] or ""):sub(1, 1) == "-" then return usage.wrong("sync", ("unknown option '%s'"):format(arg[1])) end
  if #arg > 1 then return usage.wrong("sync", "expects one folder") end
  local folder = arg[1] or "."
  if not require("native.file").is_folder(folder) then
    io.stderr:write(("trainhost sync: there is no folder '%s'\n"):format(folder))
    return 1
  end
  local runs, failed = track.sync(folder)
  if runs == 0 and failed == 0 then
    print("nothing to store")
    return 0
  end
  local left = runs > 0 and wait() or 0
  if left > 0 then
    io.stderr:write(("%s: %s could not be stored yet and stay on disk\n")
      :format(plural(runs, "run"), plural(left, "record")))
  elseif runs > 0 then
    print(("%s: all that was logged is stored"):format(plural(runs, "run")))
  end
  if failed > 0 then io.stderr:write(("%s could not be stored and stay on disk\n"):format(plural(failed, "run"))) end
  return (left > 0 or failed > 0) and 1 or 0
end
