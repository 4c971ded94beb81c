-- A folder that one training alone writes into: another one, of this process or of others, is told so before its first step.
--
-- A lock of the operating system: it ends with the process, however that ends, and works on NFS.
local host = require "host"
local save = require "native.save"

local claim = {}

local using = {}  -- folder -> who, of this state

local function refuse(what, folder, other)
  require("native.vm").raise("usage", ("%s '%s' is in use by %s: each would take the other's checkpoints"):format(what, folder, other),
    "give each training a folder of its own")
end

---A usage error if another callback of this training writes its checkpoints to the same path.
---@param callback table with checkpoint_target
---@param state table
---@param what string the option that names it
function claim.check(callback, state, what)
  local path = callback:checkpoint_target()
  for _, entry in ipairs(state.callback_list and state.callback_list.entries or {}) do
    local other = entry.callback
    if other ~= callback and other.checkpoint_target and other:checkpoint_target() == path then
      require("native.vm").raise("usage", ("%s is where %s writes too: each would take the other's checkpoints"):format(what, entry.title),
        "give each callback a path of its own")
    end
  end
end

---Claims a folder, which is made: a usage error if it is another training's.
---@param what string the option that names it
---@param folder string
---@param who table
function claim.take(what, folder, who)
  local key = host.file.absolute(folder)
  if rawequal(using[key], who) then return end
  local me = ("process %d%s"):format(host.pid(), host.script and (" (%s)"):format(host.script) or "")
  local ok, locked, note = pcall(save.lock_folder, key, me)
  if not ok then
    if type(locked) ~= "table" or locked.kind ~= "io" then error(locked, 0) end
    return host.log.warn(("%s '%s': %s; nothing keeps another training out of it"):format(what, folder, locked.message))
  end
  if not locked then refuse(what, folder, note or "another training of this process") end
  using[key] = who
end

---Lets a folder go, if it is claimed.
---@param folder string
---@param who table
---@param remove? boolean the folder too, if there is nothing else in it
function claim.leave(folder, who, remove)
  local key = host.file.absolute(folder)
  if using[key] and not rawequal(using[key], who) then return end
  using[key] = nil
  save.unlock_folder(key, remove)
end

return claim
