-- Loading state dicts into modules, with PyTorch's errors.
local native = require "native.model"
local ordered = require "host.ordered"
local python_type = require "torch.nn.python_type"
local signature = require "torch.signature"
local state_dict = require "torch.nn.state_dict"
local vm = require "native.vm"

local methods = {}
local fields_of <const>, class_of <const> = native.fields, native.class_of
local is_tensor <const>, is_parameter <const>, is_lazy <const> = require("native.tensor").is_tensor, native.is_parameter,
  native.is_uninitialized

-- Note [A load that fails]
-- What is copied is put off until nothing can be wrong any more, so that a load that fails leaves the module as it was:
-- PyTorch has copied what fits. Only before a user's code looks at the module it is done.
local pending
local NONE <const> = {}

local function write(module, name, own, value, assign)
  if not assign then return native.copy(own, value) end
  if is_parameter(own) then
    if is_parameter(value) then value:requires_grad_(own.requires_grad)
    else value = native.parameter(value, own.requires_grad) end
  end
  module[name] = value
end

-- Copies one tensor; the error's text goes to `errors`.
local function attempt(job)
  local module, name, own, value, assign, key, errors = table.unpack(job, 1, 7)
  local ok, failure = pcall(write, module, name, own, value, assign)
  if ok then return end
  errors[#errors + 1] = ("While copying the parameter named \"%s\", whose dimensions in the model are %s and whose "
    .. "dimensions in the checkpoint are %s, an exception occurred : ('%s',)."):format(key, own:size(), value:size(),
    python_type.message(failure))
end

local function flush()
  local jobs = pending
  if not jobs then return end
  pending = {}
  for _, job in ipairs(jobs) do attempt(job) end
end

local function copy(...)
  local job = {...}
  if pending then pending[#pending + 1] = job
  else attempt(job) end
end

-- The value for one of the module's own tensors; nil and the reason if it does not fit.
local function fitting(key, own, value)
  if not is_tensor(value) then
    return nil, ('While copying the parameter named "%s", expected torch.Tensor or Tensor-like object from checkpoint but '
      .. "received %s"):format(key, python_type.class(value))
  end
  if is_lazy(own) then return value end
  local shape, wanted = value.shape, own.shape
  if #wanted == 0 and #shape == 1 and shape[1] == 1 then return value[0] end  -- as files before PyTorch 0.4 have them
  if shape ~= wanted then
    return nil, ("size mismatch for %s: copying a param with shape %s from checkpoint, the shape in current model is %s.")
      :format(key, shape, wanted)
  end
  return value
end

-- Keys of the state dict that the module has not: `own` are its tensors by name.
local function find_unexpected(module, state, prefix, own, unexpected)
  local start, extra = #prefix + 1, prefix .. "_extra_state"
  for _, key in ipairs(ordered.keys(state)) do
    if key ~= extra and key:sub(1, #prefix) == prefix then
      local first, rest = key:match("^([^.]*)(.*)$", start)
      local known
      if rest ~= "" then known = native.slot(module, first) == "child"
      else known = own[first] end
      if not known then unexpected[#unexpected + 1] = key end
    end
  end
end

local COPY_INTO_META <const> = "for %s: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
  .. "current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to "
  .. "their corresponding key in the module instead of copying them in place?)"

--- Takes the tensors and the extra state of this module alone from a state dict: override it to load something else.
---@param state table<string, any> a copy, which it may change
---@param prefix string begin of the module's names
---@param local_metadata table {version = ...}, or empty
---@param strict boolean
---@param missing_keys string[] what is added to it was not there
---@param unexpected_keys string[]
---@param error_msgs string[]
function methods:_load_from_state_dict(state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
  local class = class_of(self)
  local upgrade = class._upgrade_state_dict
  if upgrade then upgrade(self, state, prefix, local_metadata, error_msgs) end
  for _, entry in ipairs(fields_of(self)._load_state_dict_pre_hooks or NONE) do
    if entry.with_module then
      entry.call(self, state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    else
      entry.call(state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    end
  end
  local names, tensors = native.own_state(self, true)
  local assign, own = local_metadata.assign_to_params_buffers or false, {}
  for i, name in ipairs(names) do
    local key = prefix .. name
    local value = state[key]
    own[name] = true
    if value == nil then
      if strict then missing_keys[#missing_keys + 1] = key end
    else
      local fits, reason = fitting(key, tensors[i], value)
      if fits ~= nil and not assign and not is_lazy(tensors[i]) and tensors[i].is_meta and not value.is_meta then
        require("torch.warn")(COPY_INTO_META:format(key))
      end
      if fits ~= nil then copy(self, name, tensors[i], fits, assign, key, error_msgs)
      else error_msgs[#error_msgs + 1] = reason end
    end
  end
  local extra = prefix .. "_extra_state"
  if class.set_extra_state ~= state_dict.set_extra_state then
    if state[extra] ~= nil then
      flush()
      self:set_extra_state(state[extra])
    elseif strict then missing_keys[#missing_keys + 1] = extra end
  elseif strict and state[extra] ~= nil then unexpected_keys[#unexpected_keys + 1] = extra end
  if strict then find_unexpected(self, state, prefix, own, unexpected_keys) end
end

-- What a class has where state dicts are loaded in no way of its own; see Note [Plain modules] in bindings.
local PLAIN <const> = {_load_from_state_dict = methods._load_from_state_dict,
  set_extra_state = state_dict.set_extra_state, _load_state_dict_pre_hooks = false, _load_state_dict_post_hooks = false}

-- The keys of a state dict below each child of the module at `prefix`.
local function by_child(state, prefix)
  local parts, start = {}, #prefix + 1
  for _, key in ipairs(ordered.keys(state)) do
    if key:sub(1, #prefix) == prefix then
      local first = key:match("^([^.]*)%.", start)
      if first then
        parts[first] = parts[first] or ordered.new()
        parts[first][key] = state[key]
      end
    end
  end
  return parts
end

local incompatible = {
  __name = "IncompatibleKeys",
  __tostring = function(self)
    if #self.missing_keys == 0 and #self.unexpected_keys == 0 then return "<All keys matched successfully>" end
    local function list(keys)
      local quoted = {}
      for i, key in ipairs(keys) do quoted[i] = ("'%s'"):format(key) end
      return table.concat(quoted, ", ")
    end
    return ("_IncompatibleKeys(missing_keys=[%s], unexpected_keys=[%s])"):format(list(self.missing_keys),
      list(self.unexpected_keys))
  end,
}

-- Into a module and all below it. `found` has the lists of what is wrong.
local function load_tree(module, state, prefix, metadata, assign, found)
  local own_metadata = {}  -- a copy: PyTorch's `assign` stays in the state dict, for later loads too
  local told = type(metadata) == "table" and metadata[prefix:sub(1, -2)]  -- of a file: anything
  for key, value in pairs(type(told) == "table" and told or {}) do own_metadata[key] = value end
  if assign then own_metadata.assign_to_params_buffers = true end
  local own_way = class_of(module)._load_from_state_dict ~= methods._load_from_state_dict
  local put_off = pending
  if own_way then
    flush()
    pending = nil
  end
  module:_load_from_state_dict(state, prefix, own_metadata, true, found.missing_keys, found.unexpected_keys, found.errors)
  if own_way then pending = put_off and {} end
  local names, children = native.child_list(module)
  if #names > 0 then
    local parts = by_child(state, prefix)
    for i, name in ipairs(names) do
      load_tree(children[i], parts[name] or ordered.new(), prefix .. name .. ".", metadata, assign, found)
    end
  end
  local hooks = fields_of(module)._load_state_dict_post_hooks
  if not hooks then return end
  flush()
  local keys = setmetatable({missing_keys = found.missing_keys, unexpected_keys = found.unexpected_keys}, incompatible)
  for _, entry in ipairs(hooks) do
    if entry.call(module, keys) ~= nil then
      vm.raise("usage", "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
        .. "values, if incompatible_keys need to be modified, it should be done inplace.")
    end
  end
end

local function quoted(keys)
  local all = {}
  for i, key in ipairs(keys) do all[i] = ('"%s"'):format(key) end
  return table.concat(all, ", ")
end

local function refuse(module, strict, found)
  local texts, shapes = {}, #found.errors > 0
  if strict and #found.missing_keys > 0 then
    texts[#texts + 1] = ("Missing key(s) in state_dict: %s. "):format(quoted(found.missing_keys))
  end
  if strict and #found.unexpected_keys > 0 then
    texts[#texts + 1] = ("Unexpected key(s) in state_dict: %s. "):format(quoted(found.unexpected_keys))
  end
  for _, text in ipairs(found.errors) do shapes = shapes and text:find("^size mismatch") ~= nil end
  shapes = shapes and #texts == 0
  table.move(found.errors, 1, #found.errors, #texts + 1, texts)
  if #texts == 0 then return end
  vm.raise(shapes and "shape" or "usage", ("Error(s) in loading state_dict for %s:\n\t%s"):format(
    class_of(module).__name, table.concat(texts, "\n\t")))
end

local parse = signature("Module.load_state_dict", "strict=true, assign=false")

--- Copies tensors by name into the module. One that fails leaves the module as it was.
---@param state_dict table<string, Tensor> an ordered or a plain table
---@param strict boolean missing and unexpected names are an error, true
---@param assign boolean the module takes the tensors themselves, of their dtype and on their device, false
---@return {missing_keys: string[], unexpected_keys: string[]}
---@example local a, b = nn.Linear(2, 1), nn.Linear(2, 1)
--- b:load_state_dict(a:state_dict())
--- torch.equal(a.weight, b.weight)  --> true
function methods:load_state_dict(state, ...)
  local strict, assign = parse(...)
  if type(state) ~= "table" then
    vm.raise("usage", ("Expected state_dict to be dict-like, got %s."):format(python_type.class(state)))
  end
  local metadata = state._metadata
  if type(metadata) ~= "table" then metadata = nil end
  local given = ordered.state_dict(nil, nil, metadata)
  if not assign and (getmetatable(state) == nil or ordered.is(state)) then
    local ok, loaded = pcall(native.load_plain, self, state, metadata, PLAIN)
    if ok and loaded then return setmetatable({missing_keys = {}, unexpected_keys = {}}, incompatible) end
  end
  for _, key in ipairs(ordered.keys(state)) do
    if type(key) ~= "string" then
      vm.raise("usage", ("Expected state_dict to be dict-like, got a key %s."):format(vm.describe(key)))
    end
    given[key] = state[key]
  end
  local found = {missing_keys = {}, unexpected_keys = {}, errors = {}}
  local outer = pending
  pending = {}
  local ok, failure = pcall(load_tree, self, given, "", metadata, assign, found)
  local jobs = pending
  pending = outer
  if not ok then error(failure, 0) end
  refuse(self, strict, found)
  for _, job in ipairs(jobs) do attempt(job) end
  refuse(self, strict, found)
  return setmetatable({missing_keys = found.missing_keys, unexpected_keys = found.unexpected_keys}, incompatible)
end

return methods
