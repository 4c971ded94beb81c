-- What a dry run writes: into a folder of its own, which is gone when the script ends. Nothing else is touched, one line
-- says of each file that it would have been written, and the script reads back what it has written.
--
-- The functions of Lua and of the native modules that write or read files are replaced by ones that look up the place of a
-- path first: that below the folder, for what is written and for what was written before, else the path itself.
local file = require "native.file"
local vm = require "native.vm"

local overlay = {silent = false}  -- silent: nobody asked what would be written

local real = {}         -- module -> name -> what was replaced
local folder            -- where the written files lie: <folder>/<absolute path>
local told, own = {}, {}

local function call(name, ...) return (real[file] and real[file][name] or file[name])(...) end

local function begin()
  if folder then return end
  folder = (real[os] and real[os].tmpname or os.tmpname)()
  call("remove", folder)
  call("mkdir", folder)
  vm.at_exit(overlay.clean)
end

---Removes what was written.
function overlay.clean()
  if folder then call("remove", folder) end
  folder, told = nil, {}
end

---A path that is the library's own: of files that are written and removed.
---@param path string
function overlay.exempt(path) own[#own + 1] = call("absolute", path) end

local function is_own(absolute)
  if absolute:find("^/dev/") or absolute:find("^/proc/") then return true end
  if folder and absolute:sub(1, #folder) == folder then return true end
  for _, path in ipairs(own) do
    if absolute:sub(1, #path) == path then return true end
  end
  return false
end

local function below(absolute) return folder .. absolute end

---Says once that a file would have been written. Callbacks that write nothing in a dry run call it.
---@param path string
function overlay.tell(path)
  path = tostring(path)
  if told[path] or overlay.silent then return end
  told[path] = true
  require("native.log").info(("dry run: %s is not written"):format(path))
end

-- The place of what is read.
local function reading(path)
  if type(path) ~= "string" or not folder then return path end
  local absolute = call("absolute", path)
  if is_own(absolute) then return path end
  local there = below(absolute)
  return call("exists", there) and there or path
end

-- The place of what is written; the path itself where that could not be written, for the error.
local function writing(path, keeps)
  if type(path) ~= "string" or path == "" then return path end
  local absolute = call("absolute", path)
  if is_own(absolute) or not call("is_writable", path) then return path end
  begin()
  local there, above = below(absolute), call("folder_of", absolute)
  if not call("exists", above) and not call("exists", below(above)) then return path end
  overlay.tell(path)
  call("mkdir", below(above))
  if keeps and not call("exists", there) and call("exists", path) then call("copy", path, there) end
  return there
end

-- For what makes the folders above it too.
local function making(path)
  if type(path) ~= "string" or path == "" then return path end
  local absolute = call("absolute", path)
  if is_own(absolute) or not call("is_writable", path) then return path end
  begin()
  overlay.tell(path)
  call("mkdir", below(call("folder_of", absolute)))
  return below(absolute)
end

local function replace(module, name, f)
  real[module] = real[module] or {}
  if real[module][name] then return end
  local original = module[name]
  real[module][name] = original
  module[name] = function(...) return f(original, ...) end
end

-- Functions whose first argument is a path, in this place.
local function place(module, names, where)
  for name in names:gmatch("%S+") do
    if module[name] then replace(module, name, function(original, path, ...) return original(where(path), ...) end) end
  end
end

local function replace_files()
  place(file, "read exists is_folder size modified", reading)
  place(file, "write_atomic", writing)
  replace(file, "append", function(original, path, ...) return original(writing(path, true), ...) end)
  replace(file, "mkdir", function(original, path)
    if type(path) == "string" and call("is_folder", path) then return end
    return original(making(path))
  end)
  replace(file, "list", function(original, path)
    local there = reading(path)
    if there == path or not call("exists", path) then return original(there) end
    local names, seen = original(path), {}
    for _, name in ipairs(names) do seen[name] = true end
    for _, name in ipairs(original(there)) do
      if not seen[name] then names[#names + 1] = name end
    end
    table.sort(names)
    return names
  end)
  replace(file, "remove", function(original, path)
    local there = reading(path)
    if there ~= path or type(path) ~= "string" or is_own(call("absolute", path)) then return original(there) end
    return call("exists", path)  -- it stays
  end)
  replace(file, "copy", function(original, from, to) return original(reading(from), writing(to)) end)
  replace(file, "rename", function(original, from, to)
    local there = reading(from)
    if there == from then return call("copy", from, writing(to)) end
    return original(there, writing(to))
  end)
end

local function replace_lua()
  replace(io, "open", function(original, path, mode)
    if type(path) ~= "string" or mode ~= nil and type(mode) ~= "string" or not (mode or "r"):find("[wa+]") then
      return original(reading(path), mode)
    end
    if mode:find("^r") and reading(path) == path and not call("exists", path) then return original(path, mode) end
    return original(writing(path, not mode:find("^w")), mode)
  end)
  place(io, "lines", reading)
  replace(os, "tmpname", function(original)
    local path = original()
    overlay.exempt(path)
    return path
  end)
  replace(os, "remove", function(original, path)
    local there = reading(path)
    if there ~= path or type(path) ~= "string" or is_own(call("absolute", path)) then return original(there) end
    if call("exists", path) then return true end
    return original(path)
  end)
  replace(os, "rename", function(original, from, to)
    if type(from) ~= "string" or type(to) ~= "string" then return original(from, to) end
    local ok, err = pcall(file.rename, from, to)
    if ok then return true end
    return nil, type(err) == "table" and err.message or tostring(err)
  end)
end

-- The modules that know of files, as soon as they are there.
local function replace_native()
  local save, events, track = require "native.save", require "native.events", require "native.track"
  place(save, "write_safetensors write_torch write_npy write_npz", writing)
  place(save, "write_checkpoint", making)
  place(save, "read_safetensors read_torch read_npy read_npz read_checkpoint format_of", reading)
  replace(save, "publish_link", function(original, target, link) return original(target, writing(link)) end)
  place(events, "open", making)
  for _, name in ipairs {"log_artifact", "log_artifacts"} do
    replace(track, name, function(original, run, path, ...) return original(run, reading(path), ...) end)
  end
end

---Begins to keep files apart.
function overlay.install()
  if real[file] then return end
  replace_files()
  replace_lua()
  replace_native()
end

---Lets files be written again; what was kept apart is gone.
function overlay.uninstall()
  overlay.clean()
  for module, names in pairs(real) do
    for name, original in pairs(names) do module[name] = original end
  end
  real = {}
end

return overlay
