-- torch.save and torch.load: named tensors in .safetensors files.
local keywords = require "host.keywords"
local native = require "native.save"
local ordered = require "host.ordered"
local torch = require "torch"
local vm = require "native.vm"

local serialization = {}

local function check_path(name, path)
  if type(path) ~= "string" then
    vm.raise("usage", ("%s: 'path' must be a string, got %s"):format(name, vm.describe(path)))
  end
  if not path:find("%.safetensors$") then
    vm.raise("usage", ("%s: only .safetensors files are supported, got '%s'"):format(name, path),
      "PyTorch's own .pt format is not; in Python, safetensors.torch.save_file and load_file write and read them")
  end
end

--- A table name -> Tensor as a list of {name, tensor}: in its own order if it has one, else sorted.
---@param tensors table
---@return table
function serialization.pairs_of(name, tensors)
  if type(tensors) ~= "table" then
    vm.raise("usage", ("%s: expected a table of named tensors, got %s"):format(name, vm.describe(tensors)),
      type(tensors) == "userdata" and "for a module give its state_dict()" or nil)
  end
  local list = {}
  for i, key in ipairs(ordered.keys(tensors)) do
    local tensor = tensors[key]
    if type(key) ~= "string" or not torch.is_tensor(tensor) then
      vm.raise("usage", ("%s: expected a flat table of named tensors, got %s = %s"):format(name, vm.describe(key),
        vm.describe(tensor)), "host.checkpoint.save takes nested tables with other values")
    end
    list[i] = {key, tensor}
  end
  return list
end

--- An ordered table name -> Tensor of a list of {name, tensor}.
---@return table
function serialization.table_of(list)
  local tensors = ordered.new()
  for _, pair in ipairs(list) do tensors[pair[1]] = pair[2] end
  return tensors
end

--- Writes named tensors, such as a state dict, into a .safetensors file, in one step: a reader sees the old file or
--- the new one.
---@param tensors table<string, Tensor>
---@param path string that ends in .safetensors
---@param options? table {metadata = table<string, string>}
function serialization.save(tensors, path, options)
  check_path("torch.save", path)
  local o = keywords.check("torch.save", options, {metadata = {format = "pt"}})
  local metadata = {}
  for i, key in ipairs(ordered.keys(o.metadata)) do metadata[i] = {key, o.metadata[key]} end
  native.write_safetensors(path, serialization.pairs_of("torch.save", tensors), metadata)
end

--- Reads a .safetensors file: a table name -> Tensor in the file's order, on the CPU.
---@param path string
---@param options? table {mmap = true: share a mapping of the file instead of reading it}
---@return table<string, Tensor> tensors the only value, so that model:load_state_dict(torch.load(path)) takes it alone
function serialization.load(path, options)
  check_path("torch.load", path)
  local o = keywords.check("torch.load", options, {mmap = false})
  return serialization.table_of((native.read_safetensors(path, o.mmap)))
end

--- Reads the metadata of a .safetensors file: what torch.save was given as `metadata`.
---@param path string
---@return table<string, string> metadata
function serialization.load_metadata(path)
  check_path("torch.load_metadata", path)
  local _, metadata = native.read_safetensors(path, true)
  return metadata
end

return serialization
