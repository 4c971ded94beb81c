-- host.checkpoint: folders of tensors and plain state, published in one step.
--
-- FOLDER/manifest.json lists the files and their checksums, FOLDER/NAME.safetensors holds a group of tensors,
-- FOLDER/state.json the rest (and FOLDER/state.safetensors the tensors in it).
local file = require "native.file"
local json = require "native.json"
local keywords = require "host.keywords"
local native = require "native.save"
local ordered = require "host.ordered"
local structure = require "torch.structure"
local torch = require "torch"
local vm = require "native.vm"

local checkpoint = {}

local function bad(where, value)
  vm.raise("usage", ("host.checkpoint.save: %s is %s, expected nil, boolean, number, string, Tensor or a table of them")
    :format(where, vm.describe(value)))
end

local function take_apart(value, where, tensors)
  return structure.take_apart("host.checkpoint.save", value, where, tensors)
end

-- A flat state dict, or the list of {name, tensor} that one is made of; nil for anything else.
local function flat_pairs(name, group)
  if type(group) ~= "table" then bad("tensors." .. name, group) end
  local flat, listed = true, #group > 0
  for key, value in pairs(group) do
    if type(key) ~= "string" or not torch.is_tensor(value) then flat = false end
    if math.type(key) ~= "integer" or type(value) ~= "table" or type(value[1]) ~= "string"
      or not torch.is_tensor(value[2]) or #value ~= 2 then
      listed = false
    end
  end
  if flat then return structure.pairs_of("host.checkpoint.save", group) end
  return listed and group or nil
end

-- What a state says about when it was.
local function time_of(state) return type(state) == "table" and type(state.time) == "number" and state.time or nil end

-- The groups of tensors and the texts of what `save` is given.
local function parts_of(contents)
  local c = keywords.check("host.checkpoint.save", contents, {tensors = {}, state = keywords.none})
  local groups, nested, loose = {}, {}, {}
  for _, name in ipairs(ordered.keys(c.tensors)) do
    if name == "state" then vm.raise("usage", "host.checkpoint.save: a group of tensors cannot have the name 'state'") end
    local group = c.tensors[name]
    local list = flat_pairs(name, group)
    if not list then
      list = {}
      nested[name] = take_apart(group, name, list)
    end
    groups[#groups + 1] = {name, list}
  end
  local text = json.encode {version = 1, state = take_apart(c.state, "state", loose), nested = nested, made = time_of(c.state)}
  if #loose > 0 then groups[#groups + 1] = {"state", loose} end
  return groups, {{"state.json", text .. "\n"}}
end

--- Writes a checkpoint folder; one that is there is replaced in one step, and stays if anything fails. Its manifest has
--- the XXH3-128 of every file and of every tensor.
---@param folder string
---@param contents table {tensors = name -> state dict (also nested, as an optimizer's), state = plain values and tensors}
function checkpoint.save(folder, contents) native.write_checkpoint(folder, parts_of(contents)) end

-- Fields: folder; written (once it has ended: false where another one took its place, or it failed).
local Writing = {__name = "Writing"}
Writing.__index = Writing

local function writing(folder, ticket)
  return setmetatable({folder = folder, ticket = ticket, ended = ticket == 0, written = false}, Writing)
end

---@param wait boolean
local function poll(self, wait)
  if self.ended then return true end
  local ok, ended, written = pcall(native.poll_checkpoint, self.ticket, wait)
  if not ok then
    self.ended = true
    error(ended, 0)
  end
  self.ended, self.written = ended, written
  return ended
end

--- Has it ended? Raises the error if it could not be written, once.
---@return boolean
function Writing:done() return poll(self, false) end

--- Returns once it has ended; raises the error if it cannot be written, once. Ctrl-C ends the wait.
function Writing:wait() poll(self, true) end

--- The same as `save`, by a thread and of copies: the tensors may change once the call has returned. One may be written
--- while another one waits; with both there the call waits. The end of the program waits for both.
---@param folder string
---@param contents table as for `save`
---@param link? string a name beside the folder that leads to it from then on, such as "latest"
---@param replaceable? boolean true: while it waits the next one takes its place, and it is not taken at all where it would
--- have to wait for room
---@return table writing with `done()`, `wait()`, and then `written`
function checkpoint.submit(folder, contents, link, replaceable)
  local groups, texts = parts_of(contents)
  return writing(folder, native.submit_checkpoint(folder, groups, texts, link, replaceable))
end

--- Would `submit` take one now, without waiting?
---@return boolean
function checkpoint.has_room() return native.has_room() end

--- Reads what `save` wrote. An io error for a folder that is damaged, also in a single bit, or no checkpoint.
---@param folder string
---@return table {tensors = name -> ordered table of tensors, or what was nested; state = plain values}
function checkpoint.load(folder)
  local groups, texts = native.read_checkpoint(folder)
  local ok, state = pcall(json.decode, texts["state.json"] or "")
  if not ok or type(state) ~= "table" or type(state.nested) ~= "table" then
    vm.raise("io", ("host.checkpoint.load: %s/state.json is missing or damaged"):format(folder))
  end
  local loose, tensors = groups.state and structure.table_of(groups.state) or {}, {}
  groups.state = nil
  for name, list in pairs(groups) do
    local flat = structure.table_of(list)
    tensors[name] = state.nested[name] and structure.put_together(state.nested[name], flat) or flat
  end
  return {tensors = tensors, state = structure.put_together(state.state, loose)}
end

--- Checks a checkpoint: an io error that names the file, and the tensor, whose bytes are not those that were written.
---@param folder string
---@return table[] files {name =, bytes =, sum = XXH3-128, tensors = {{name, sum}, ...}}
function checkpoint.check(folder) return native.check_checkpoint(folder) end

-- When a checkpoint was made: the time of its state, which its files say wherever they have been copied to, as their first key.
local function made(path)
  local stream <close> = io.open(path .. "/state.json", "rb")
  local time = tonumber((stream and stream:read(64) or ""):match('^{%s*"made":%s*([%d.eE+-]+)'))
  if time or not stream then return time end
  stream:seek("set")
  local ok, found = pcall(json.decode, stream:read("a"))  -- of a version without that key
  return ok and type(found) == "table" and time_of(found.state) or nil
end

--- The checkpoints in folders, the newest first: by the `time` of their states, by that of their files where they have none.
--- Of a folder that is one itself that one alone. They may be damaged.
---@param ... string folders
---@return string[]
function checkpoint.list(...)
  local found, since = {}, {}
  local function note(path)
    if since[path] or not file.exists(path .. "/manifest.json") then return false end
    local written = file.modified(path .. "/manifest.json")
    found[#found + 1], since[path] = path, {made(path) or written, written}
    return true
  end
  for _, folder in ipairs {...} do
    folder = folder:gsub("(.)/+$", "%1")
    for _, name in ipairs(not note(folder) and file.is_folder(folder) and file.list(folder) or {}) do
      if name:sub(1, 1) ~= "." and name ~= "latest" then note(folder .. "/" .. name) end
    end
  end
  table.sort(found, function(a, b)
    for i, time in ipairs(since[a]) do
      if time ~= since[b][i] then return time > since[b][i] end
    end
    return a > b
  end)
  return found
end

--- Removes the hidden files and folders that writers who have been killed left in a folder: ".00003.tmp-PID-N". What cannot
--- be removed stays, or is gone already: others may sweep there.
---@param folder string
function checkpoint.sweep(folder)
  for _, name in ipairs(file.is_folder(folder) and file.list(folder) or {}) do
    local pid = name:match("^%..+%.tmp%-(%d+)%-%d+$") or name:match("^%.write%-test%-(%d+)$")
    if pid and not file.exists("/proc/" .. pid) then
      local ok, err = pcall(file.remove, folder .. "/" .. name)
      if not ok and (type(err) ~= "table" or err.kind ~= "io") then error(err, 0) end
    end
  end
end

local FORMAT <const> = {{"format", "pt"}}

local function file_pairs(where, path, tensors) return flat_pairs(path, tensors) or structure.pairs_of(where, tensors) end

--- Writes one group of tensors as a .safetensors file, in one step.
---@param path string
---@param tensors table a state dict or a list of {name, tensor}
function checkpoint.save_tensors(path, tensors)
  native.write_safetensors(path, file_pairs("host.checkpoint.save_tensors", path, tensors), FORMAT)
end

--- The same by a thread, as `submit` does.
---@param path string
---@param tensors table
---@return table writing with `done()`, `wait()`, and then `written`
function checkpoint.submit_tensors(path, tensors)
  return writing(path, native.submit_safetensors(path, file_pairs("host.checkpoint.submit_tensors", path, tensors), FORMAT))
end

--- Makes `name`, beside the folder or file, a link to it: over an older link in one step.
---@param path string
---@param name string such as "latest"
function checkpoint.link(path, name)
  local trimmed = path:gsub("/+$", "")
  local above, last = trimmed:match("^(.*/)([^/]+)$")
  native.publish_link(last or trimmed, (above or "") .. name)
end

return checkpoint
