-- host.checkpoint: folders of tensors and plain state, published in one step.
--
-- FOLDER/manifest.json lists the files, FOLDER/NAME.safetensors holds a group of tensors, FOLDER/state.json the rest.
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

--- Writes a checkpoint folder; one that is there is replaced in one step, and stays if anything fails.
---@param folder string
---@param contents table {tensors = name -> state dict (also nested, as an optimizer's), state = plain values}
function checkpoint.save(folder, contents)
  local c = keywords.check("host.checkpoint.save", contents, {tensors = {}, state = keywords.none})
  local groups, nested = {}, {}
  for i, name in ipairs(ordered.keys(c.tensors)) do
    local group = c.tensors[name]
    local list = flat_pairs(name, group)
    if not list then
      list = {}
      nested[name] = take_apart(group, name, list)
    end
    groups[i] = {name, list}
  end
  local state = {version = 1, state = take_apart(c.state, "state"), nested = nested}
  native.write_checkpoint(folder, groups, {{"state.json", json.encode(state) .. "\n"}})
end

--- Reads what `save` wrote. An io error for a folder that is damaged or no checkpoint.
---@param folder string
---@return table {tensors = name -> ordered table of tensors, or what was nested; state = plain values}
function checkpoint.load(folder)
  local groups, texts = native.read_checkpoint(folder)
  local ok, state = pcall(json.decode, texts["state.json"] or "")
  if not ok or type(state) ~= "table" or type(state.nested) ~= "table" then
    vm.raise("io", ("host.checkpoint.load: %s/state.json is missing or damaged"):format(folder))
  end
  local tensors = {}
  for name, list in pairs(groups) do
    local flat = structure.table_of(list)
    tensors[name] = state.nested[name] and structure.put_together(state.nested[name], flat) or flat
  end
  return {tensors = tensors, state = structure.put_together(state.state, {})}
end

--- Writes one group of tensors as a .safetensors file, in one step.
---@param path string
---@param tensors table a state dict or a list of {name, tensor}
function checkpoint.save_tensors(path, tensors)
  local list = flat_pairs(path, tensors) or structure.pairs_of("host.checkpoint.save_tensors", tensors)
  native.write_safetensors(path, list, {{"format", "pt"}})
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
