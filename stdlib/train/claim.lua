-- A folder that one training alone writes into: another one, of this process or of others, is told so before its first step.
local host = require "host"

local claim = {}

local NAME <const> = "^%.used%-by%-(%d+)$"

local using = {}  -- folder -> who, of this process

local function born(pid)
  local file <close> = io.open("/proc/" .. pid .. "/stat")
  local text = file and file:read("a") or ""
  local words, count = text:match("%)%s+(.*)$") or "", 0
  for word in words:gmatch("%S+") do  -- the 22nd field, after the name in parentheses
    count = count + 1
    if count == 20 then return word end
  end
end

local function path_of(folder) return ("%s/.used-by-%d"):format(folder, host.pid()) end

local function refuse(what, folder, other)
  require("native.vm").raise("usage", ("%s '%s' is in use by %s: each would take the other's checkpoints"):format(what, folder, other),
    "give each training a folder of its own")
end

-- Another process that was here first and still runs. What dead ones left is removed.
local function other_in(folder, time)
  for _, name in ipairs(host.file.list(folder)) do
    local pid = math.tointeger(name:match(NAME))
    if pid and pid ~= host.pid() then
      local path = folder .. "/" .. name
      local ok, text = pcall(host.file.read, path)
      local since, birth, script = (ok and text or ""):match("^(%S+) (%S+) ([^\n]*)")
      if not since or born(pid) ~= birth then
        pcall(host.file.remove, path)
      elseif tonumber(since) < time or tonumber(since) == time and pid < host.pid() then
        return ("process %d%s"):format(pid, script ~= "" and " (" .. script .. ")" or "")
      end
    end
  end
end

---Claims a folder, which is made: a usage error if it is another training's.
---@param what string the option that names it
---@param folder string
---@param who table
function claim.take(what, folder, who)
  local key = host.file.absolute(folder)
  if using[key] and not rawequal(using[key], who) then refuse(what, folder, "another training of this process") end
  host.file.mkdir(folder)
  local time = host.time()
  host.file.write_atomic(path_of(folder), ("%.6f %s %s\n"):format(time, born(host.pid()) or "?", host.script or ""))
  using[key] = who
  local other = other_in(folder, time)
  if not other then return end
  claim.leave(folder, who)
  refuse(what, folder, other)
end

---@param folder string
---@param who table
function claim.leave(folder, who)
  local key = host.file.absolute(folder)
  if not rawequal(using[key], who) then return end
  using[key] = nil
  pcall(host.file.remove, path_of(folder))
end

return claim
