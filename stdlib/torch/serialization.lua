-- torch.save and torch.load: PyTorch's own files (.pt), safetensors, and numpy's .npy and .npz.
--
-- A file is written as its name says, and read as its bytes say. Nothing in a file is ever run.
local file = require "native.file"
local json = require "native.json"
local native = require "native.save"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local structure = require "torch.structure"
local torch = require "torch"
local vm = require "native.vm"

local serialization = {}

-- The key of a safetensors file's metadata that holds the structure of what is no flat table.
local STRUCTURE = "trainhost"

-- What a tuple of Python is: a list that torch.save writes as a tuple again.
local tuple = {__name = "tuple"}

local kinds = {
  new = function(kind) return ordered.new(nil, nil, kind) end,
  set_none = ordered.set_none,
  list = structure.list,
  tuple = tuple,
  none = torch.None,
}

local function mark(name, list, metatable)
  if type(list) ~= "table" or getmetatable(list) ~= nil then
    vm.raise("usage", ("torch.serialization.%s: expected a plain table, got %s"):format(name, vm.describe(list)))
  end
  return setmetatable(list, metatable)
end

--- Marks a list as a tuple: torch.save writes it to a .pt file as one.
---@param list any[]
---@return any[] list the same table
---@example local path = test.tmpdir() .. "/pair.pt"
--- torch.save(torch.serialization.tuple{1, 2}, path)
--- torch.load(path)[2]  --> 2
function serialization.tuple(list) return mark("tuple", list, tuple) end

--- Marks a table as a list, which an empty one is not by itself.
---@param list any[]
---@return any[] list the same table
---@example local path = test.tmpdir() .. "/empty.pt"
--- torch.save({names = torch.serialization.list{}}, path)
--- #torch.load(path).names  --> 0
function serialization.list(list) return mark("list", list, structure.list) end

local function check_path(name, path)
  if type(path) ~= "string" then
    vm.raise("usage", ("%s: 'f' must be a string, the path of a file, got %s"):format(name, vm.describe(path)))
  end
  return path
end

local function extension(path) return path:match("%.(%w+)$") end

local function is_flat(value)
  for key, tensor in pairs(value) do
    if type(key) ~= "string" or not torch.is_tensor(tensor) then return false end
  end
  return not (getmetatable(value) and getmetatable(value).none)
end

local function save_safetensors(value, path, metadata)
  local list, texts = {}, {}
  for i, key in ipairs(ordered.keys(metadata or {format = "pt"})) do
    texts[i] = {key, (metadata or {format = "pt"})[key]}
  end
  if type(value) ~= "table" or is_flat(value) then
    list = structure.pairs_of("torch.save", value)
  else
    local made = structure.take_apart("torch.save", value, "", list)
    texts[#texts + 1] = {STRUCTURE, json.encode(made)}
  end
  native.write_safetensors(path, list, texts)
end

local writers = {
  safetensors = save_safetensors,
  npy = function(value, path)
    if not torch.is_tensor(value) then
      vm.raise("usage", "torch.save: a .npy file holds one Tensor, got " .. vm.describe(value),
        "several go into a .npz file")
    end
    native.write_npy(path, value)
  end,
  npz = function(value, path, _, compressed)
    if type(value) == "table" and #value > 0 and not ordered.is(value) then  -- numpy.savez(path, a, b)
      local names = {}
      for i = 1, #value do names[i] = ("arr_%d"):format(i - 1) end
      value = ordered.new(names, value)
    end
    native.write_npz(path, structure.pairs_of("torch.save", value), compressed)
  end,
}

local parse_save = signature("torch.save", "obj=nil, f=nil, metadata=nil, compressed=false")

--- Writes a value in one step: a reader sees the old file or the new one. The name says how.
---
--- `.safetensors`: a flat table of named tensors, such as a state dict; nested tables of tensors, numbers, strings and
--- booleans too: their structure goes into the metadata as JSON, so that other readers find the tensors by their path
--- ("optimizer.state.0.exp_avg"). Tensors that share memory are written once each.
---
--- `.npy`: one tensor. `.npz`: a flat table of named tensors, or a list of tensors.
---
--- Any other name (`.pt`, `.pth`): PyTorch's own format, which torch.load(weights_only=True) opens in Python. Tables
--- of anything above, dtypes, devices, torch.Size, Parameters, sparse and nested tensors, torch.None and nil. A table of
--- 1 ... n is a list, an ordered one (a state dict) an OrderedDict, any other a dict; an empty one is a dict. Tensors
--- that share memory share it in the file, and a view brings its whole storage along: clone it first.
---@param obj any
---@param f string the file's path
---@param metadata? table<string, string> of a .safetensors file, {format = "pt"}
---@param compressed? boolean packs a .npz file, false
---@example local path = test.tmpdir() .. "/state.pt"
--- torch.save({weight = torch.ones(2), step = 3}, path)
--- torch.load(path).step  --> 3
function serialization.save(...)
  local obj, f, metadata, compressed = parse_save(...)
  check_path("torch.save", f)
  if metadata ~= nil and type(metadata) ~= "table" then
    vm.raise("usage", "torch.save: argument 'metadata' must be a table, got " .. vm.describe(metadata))
  end
  local writer = writers[extension(f)]
  if metadata ~= nil and extension(f) ~= "safetensors" then
    vm.raise("usage", "torch.save: 'metadata' is for .safetensors files, got the path " .. f)
  end
  if compressed and extension(f) ~= "npz" then
    vm.raise("usage", "torch.save: 'compressed' is for .npz files, got the path " .. f)
  end
  if writer then writer(obj, f, metadata, compressed)
  else native.write_torch(f, obj, kinds) end
end

local function damaged(path, what)
  vm.raise("io", ("safetensors file %s: the structure in its metadata is damaged: %s"):format(path, what))
end

local function load_safetensors(path, o)
  local list, metadata = native.read_safetensors(path, o.mmap, o.memory_limit)
  local tensors = structure.table_of(list)
  if not metadata[STRUCTURE] then return tensors end
  -- Three bytes of JSON, "[],", make two tables.
  if #metadata[STRUCTURE] * 60 > (o.memory_limit or 2 * file.size(path) + (40 << 20)) then
    damaged(path, ("%d bytes of it would take too much memory"):format(#metadata[STRUCTURE]))
  end
  local ok, made = pcall(json.decode, metadata[STRUCTURE])
  if ok then ok, made = pcall(structure.put_together, made, tensors) end
  if not ok then damaged(path, type(made) == "string" and made or made.message or tostring(made)) end
  return made
end

-- What cannot be read is an error when it is asked for, as in numpy.
local function load_npz(path, o)
  local list, refused = native.read_npz(path, o.mmap, o.memory_limit), {}
  local tensors = structure.table_of(list)
  for _, row in ipairs(list) do refused[row[1]] = row[3] and ("numpy file %s: %s"):format(path, row[3]) end
  if next(refused) then
    getmetatable(tensors).__index = function(_, key)
      if refused[key] then vm.raise("io", refused[key]) end
    end
  end
  return tensors
end

local readers = {
  npy = function(path, o) return native.read_npy(path, o.mmap, o.memory_limit) end,
  npz = load_npz,
  torch_tar = function(path)
    vm.raise("io", ("PyTorch file %s: Cannot use ``weights_only=True`` with files saved in the legacy .tar format.")
      :format(path), "load and save it again with a PyTorch of 2017 to 2025")
  end,
  other = function(path)
    vm.raise("io", ("torch.load: %s is no file of torch.save, safetensors or numpy"):format(path))
  end,
}

-- Moves the tensors of a file that names no devices.
local function move(value, location, seen)
  if torch.is_tensor(value) then return value:to(location) end
  if type(value) ~= "table" or seen[value] then return value end
  seen[value] = true
  for key, item in next, value do value[key] = move(item, location, seen) end
  return value
end

-- What a file's bytes say, and its name only where they say nothing: a damaged file is told what is wrong with it.
local function format_of(path)
  local format = native.format_of(path)
  return format == "other" and extension(path) == "safetensors" and "safetensors" or format
end

local parse_load = signature("torch.load",
  "f, map_location=nil, pickle_module=nil, weights_only=true, mmap=false, memory_limit=nil")

--- Reads a file of torch.save (also of Python's, new and old), safetensors or numpy. No code in it is ever run: an
--- unknown global is an error that names it, as with torch.load(weights_only=True).
---
--- Arrays of strings in numpy's files become lists of strings, nested as their shape. Of an .npz file all arrays of
--- numbers and strings are there; to ask for one of Python objects, of records or of dates is an error that says why.
---
--- Dicts become tables that keep their order and their keys, lists and tuples tables from 1 on. None is nil in a dict
--- (torch.save writes it back) and torch.None in a list. An integer beyond 64 bits becomes the nearest float (or math.huge),
--- with one warning that names its key. Tensors that shared memory share it again.
---@param f string the file's path
---@param map_location? string|device|table|fun(storage: Tensor, location: string): Tensor|string|nil where storages go
---@param mmap? boolean shares a mapping of the file instead of reading it, where it is aligned; false
---@param memory_limit? integer bytes that reading may take instead of twice the file's size and 64 MB
---@return any value the only one, so that model:load_state_dict(torch.load(path)) takes it alone
---@example local path = test.tmpdir() .. "/state.pt"
--- torch.save({weight = torch.ones(2)}, path)
--- torch.load(path).weight  --> tensor([1., 1.])
function serialization.load(...)
  local f, map_location, pickle_module, weights_only, mmap, memory_limit = parse_load(...)
  check_path("torch.load", f)
  if pickle_module ~= nil or not weights_only then
    vm.raise("usage", "torch.load: only weights_only = true is supported: no code of a file is ever run")
  end
  if type(map_location) == "table" and next(map_location) == nil then map_location = nil end
  local o = {mmap = mmap == true, memory_limit = memory_limit}
  local format = format_of(f)
  if format == "torch_zip" or format == "torch_legacy" then
    return native.read_torch(f, kinds, o.mmap, map_location, memory_limit)
  end
  local value
  if format == "safetensors" then value = load_safetensors(f, o) else value = readers[format](f, o) end
  if map_location == nil then return value end
  if type(map_location) == "table" or type(map_location) == "function" then
    vm.raise("usage", ("Loading %s file with %s map_location is not supported. Use a device string or torch.device "
      .. "instead."):format(format, type(map_location) == "table" and "dict" or "callable"))
  end
  return move(value, map_location, {})
end

--- Reads the metadata of a safetensors file: what torch.save was given as `metadata`.
---@param path string
---@return table<string, string> metadata
---@example local path = test.tmpdir() .. "/w.safetensors"
--- torch.save({w = torch.ones(2)}, path, {metadata = {epoch = "3"}})
--- torch.load_metadata(path).epoch  --> 3
function serialization.load_metadata(path)
  if format_of(check_path("torch.load_metadata", path)) ~= "safetensors" then
    vm.raise("usage", ("torch.load_metadata: only .safetensors files have metadata, got '%s'"):format(path))
  end
  local _, metadata = native.read_safetensors(path, true)
  metadata[STRUCTURE] = nil
  return metadata
end

return require("host.namespace")("torch.serialization", {held = serialization})
