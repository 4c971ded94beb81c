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
local tickets = {}      -- of checkpoints that a thread writes

--- The native functions that take a path and stay as they are, and why.
overlay.left = {
  ["native.file.is_writable"] = "touches nothing, and tells of the place itself",
  ["native.file.absolute"] = "a name alone",
  ["native.file.folder_of"] = "a name alone",
  ["native.doc.text"] = "a file of the standard library, which the program has in it",
  ["native.track.call"] = "a path of MLflow's REST API, no file",
  ["native.track.list_artifacts"] = "below the run's own artifacts, which a dry run has elsewhere",
  ["native.serve.door"] = "a socket, which no training makes in a dry run",
  ["native.serve.call"] = "a socket that another process has made",
}

local function call(name, ...) return (real[file] and real[file][name] or file[name])(...) end

local function begin()
  if folder then return end
  folder = (real[os] and real[os].tmpname or os.tmpname)()
  call("remove", folder)
  call("mkdir", folder)
  vm.at_exit(overlay.clean)
end

---Removes what was written, once the threads that write it have done so.
function overlay.clean()
  for _, ticket in ipairs(tickets) do pcall(require("native.save").poll_checkpoint, ticket, true) end
  if folder then
    require("native.events").flush_written(10)
    call("remove", folder)
  end
  folder, told, tickets = nil, {}, {}
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

-- That of a checkpoint: a folder that is there may have got other files.
local function reading_checkpoint(path)
  if type(path) ~= "string" then return path end
  local manifest = path .. "/manifest.json"
  return reading(manifest) ~= manifest and reading(path) or path
end

-- The place of what is written; the path itself where that could not be written, for the error. `keeps`: what is there
-- already is written on, `makes`: the folders above it are made too.
local function writing(path, keeps, makes)
  if type(path) ~= "string" or path == "" then return path end
  local absolute = call("absolute", path)
  if is_own(absolute) or not call("is_writable", path) then return path end
  begin()
  local there, above = below(absolute), call("folder_of", absolute)
  if not makes and not call("exists", above) and not call("exists", below(above)) then return path end
  overlay.tell(path)
  call("mkdir", below(above))
  if keeps and not call("exists", there) and call("exists", path) then call("copy", path, there) end
  return there
end

local function making(path) return writing(path, false, true) end

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

-- What was written goes; what else is there stays.
local function remove(original, path)
  local there = reading(path)
  if there ~= path or type(path) ~= "string" or is_own(call("absolute", path)) then return original(there) end
  return call("exists", path) or original(path)
end

local function replace_files()
  place(file, "read exists is_folder size modified stamp is_being_written", reading)
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
  replace(file, "remove", remove)
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
  place(io, "lines input", reading)
  place(io, "output", writing)
  place(_G, "loadfile dofile", reading)
  replace(os, "tmpname", function(original)
    local path = original()
    overlay.exempt(path)
    return path
  end)
  replace(os, "remove", remove)
  replace(os, "rename", function(original, from, to)
    if type(from) ~= "string" or type(to) ~= "string" then return original(from, to) end
    local ok, err = pcall(file.rename, from, to)
    if ok then return true end
    return nil, type(err) == "table" and err.message or tostring(err)
  end)
end

local function kept(ticket)
  tickets[#tickets + 1] = ticket
  return ticket
end

local function replace_checkpoints(save)
  place(save, "write_checkpoint", making)
  place(save, "read_checkpoint check_checkpoint", reading_checkpoint)
  replace(save, "submit_checkpoint", function(original, path, tensors, texts, link, ...)
    local there = making(path)
    if type(path) == "string" and type(link) == "string" then
      local beside = (path:gsub("/+$", ""):match("^.*/") or "") .. link
      if there ~= path then overlay.tell(beside)
      elseif writing(beside) ~= beside then link = nil end  -- of a temporary folder, the link is not temporary
    end
    return kept(original(there, tensors, texts, link, ...))
  end)
  replace(save, "submit_safetensors", function(original, path, ...) return kept(original(writing(path), ...)) end)
  replace(save, "publish_link", function(original, target, link)
    local there = writing(link)
    if there ~= link and type(target) == "string" then
      local aim = target:find("^/") and target or call("folder_of", call("absolute", link)) .. "/" .. target
      local at = call("exists", aim .. "/manifest.json") and reading_checkpoint(aim) or reading(aim)
      if call("exists", at) then target = at end
    end
    return original(target, there)
  end)
end

-- The modules that know of files, as soon as they are there.
local function replace_native()
  local save, events, track = require "native.save", require "native.events", require "native.track"
  place(save, "write_safetensors write_torch write_npy write_npz lock_folder unlock_folder", writing)
  place(save, "read_safetensors read_torch read_npy read_npz format_of", reading)
  replace_checkpoints(save)
  place(events, "open", making)
  place(events, "write", writing)
  for _, name in ipairs {"log_artifact", "log_artifacts"} do
    replace(track, name, function(original, run, path, ...) return original(run, reading(path), ...) end)
  end
  replace(track, "get_artifact", function(original, uri, path, target, ...) return original(uri, path, writing(target), ...) end)
  replace(track, "put_artifact", function(original, uri, path, source, ...)
    return original(uri, path, source and reading(source), ...)
  end)
  replace(track, "sync", function(_, path)
    overlay.tell("what waits below " .. (path or call("cwd")))
    return 0, 0
  end)
  place(track, "files_below", reading)
  place(require "native.track_reader", "call points artifacts artifact is_left", reading)
  place(require "native.data", "read_idx", reading)
  place(require "native.library", "load", reading)
end

---Begins to keep files apart.
function overlay.install()
  if real[file] then return end
  replace_files()
  replace_lua()
  replace_native()
end

-- What a path is called in the docstrings of the native modules.
local PATHS <const> = {path = true, folder = true, file = true, filename = true, directory = true, link = true, from = true,
  to = true, local_path = true, local_dir = true}

---The native functions that take a path: is it looked up first?
---@return table<string, boolean> placed "native.file.read" -> true; all false outside of a dry run
function overlay.takers()
  local modules, takers = {}, {}
  for _, name in ipairs(vm.natives()) do modules[require(name)] = name end
  for _, row in ipairs(require("native.doc").rows()) do
    local module = modules[row.home]
    for name, kind in (module and row.doc or ""):gmatch("@param ([%w_]+)%?? (%a+)") do
      if PATHS[name] and kind == "string" then
        takers[module .. "." .. row.name] = real[row.home] ~= nil and real[row.home][row.name] ~= nil
      end
    end
  end
  return takers
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
