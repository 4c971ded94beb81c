-- Finds before the training whether files can be written where a callback is told to, by writing one.
local host = require "host"

local writable = {}

local function fail(message, err)
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  require("native.vm").raise("io", ("%s: %s"):format(message, type(err) == "table" and err.message or tostring(err)))
end

local function above(path)
  local folder = path:match("^(.*)/[^/]*$")
  return folder == "" and "/" or folder or "."
end

-- The folder, or of those above it the first that is there.
local function there_of(folder)
  while folder ~= "/" and folder ~= "." and not host.file.exists(folder) do folder = above(folder) end
  return folder
end

local function try(folder, leave_nothing)
  if leave_nothing then
    folder = there_of(folder)
    if not host.file.is_writable(folder .. "/file") then
      require("native.vm").raise("io", ("no file can be made in '%s'"):format(folder))
    end
    return
  end
  host.file.mkdir(folder)
  local probe = ("%s/.write-test-%d"):format(folder, host.pid())
  host.file.write_atomic(probe, "")
  host.file.remove(probe)
end

---Makes a folder and writes into it; an io error that names both where that fails.
---@param folder string
---@param what string "filepath 'out/{epoch}'"
---@param dry_run? boolean leave no folder that was not there
function writable.folder(folder, what, dry_run)
  local ok, err = pcall(try, folder, dry_run)
  if not ok then fail(("cannot write into the folder '%s' of %s"):format(folder, what), err) end
end

---Opens a file for writing at its end, its folder made if need be; what is in it stays, and no new one is left.
---@param path string
---@param dry_run? boolean leave no folder that was not there
function writable.file(path, dry_run)
  local there = host.file.exists(path)
  if not there then
    local ok, err = pcall(try, above(path), dry_run)
    if not ok then fail(("cannot write '%s'"):format(path), err) end
  end
  if dry_run then
    if not host.file.is_writable(path) then fail("cannot write", ("'%s' cannot be written"):format(path)) end
    return
  end
  local file, err = io.open(path, "a")
  if not file then fail("cannot write", err) end
  file:close()
  if not there then host.file.remove(path) end
end

return writable
