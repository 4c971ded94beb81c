-- Finds before the training whether files can be written where a callback is told to, by writing one.
local host = require "host"

local writable = {}

local function fail(message, err)
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  require("native.vm").raise("io", ("%s: %s"):format(message, type(err) == "table" and err.message or tostring(err)))
end

---Is nothing to be written in this training?
---@param state table
---@return boolean
function writable.dry(state) return (state.dry_run or host.dry_run()) == true end

---Makes a folder and writes into it; an io error that names both where that fails.
---@param folder string
---@param what string "filepath 'out/{epoch}'"
---@param dry? boolean nothing is made
function writable.folder(folder, what, dry)
  if dry then
    if host.file.is_writable(folder .. "/file") then return end
    fail(("cannot write into the folder '%s' of %s"):format(folder, what), "it is not writable")
  end
  local probe = ("%s/.write-test-%d"):format(folder, host.pid())
  local ok, err = pcall(function()
    host.file.mkdir(folder)
    host.file.write_atomic(probe, "")
    host.file.remove(probe)
  end)
  if not ok then fail(("cannot write into the folder '%s' of %s"):format(folder, what), err) end
end

---Opens a file for writing at its end, its folder made if need be; what is in it stays, and no new one is left.
---@param path string
---@param dry? boolean nothing is made
function writable.file(path, dry)
  if dry then
    if host.file.is_writable(path) then return end
    fail(("cannot write '%s'"):format(path), "it is not writable")
  end
  local folder = path:match("^(.*)/[^/]*$")
  local there = host.file.exists(path)
  if folder and folder ~= "" then
    local ok, err = pcall(host.file.mkdir, folder)
    if not ok then fail(("cannot write '%s'"):format(path), err) end
  end
  local file, err = io.open(path, "a")
  if not file then fail("cannot write", err) end
  file:close()
  if not there then host.file.remove(path) end
end

return writable
