-- State dicts of modules: taking, hooks, metadata; load_state_dict.lua is the way back.
local hook_list = require "torch.hook_list"
local native = require "native.model"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local vm = require "native.vm"

local methods = {_version = 1}
local fields_of <const>, own_state <const>, class_of <const> = native.fields, native.own_state, native.class_of
local PRE <const>, POST <const> = "_state_dict_pre_hooks", "_state_dict_hooks"
local LOAD_PRE <const>, LOAD_POST <const> = "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"

local NONE <const> = {}
local add <const> = hook_list.of(fields_of)

local function unreachable(name)
  vm.raise("internal", ("Reached a code path in Module.%s() that should never be called."):format(name))
end

--- What the module has to save besides its tensors: override it together with `set_extra_state`. It is in the state dict
--- under the key "_extra_state".
---@return any
---@example local Counter = nn.class("Counter")
--- function Counter:get_extra_state() return {count = 3} end
--- function Counter:set_extra_state(state) self.count = state.count end
--- local counter = Counter()
--- counter:load_state_dict(counter:state_dict())
--- counter.count  --> 3
function methods:get_extra_state() unreachable "get_extra_state" end

--- Takes what `get_extra_state` gave, when a state dict is loaded: override it.
---@param state any
---@example local Counter = nn.class("Counter")
--- function Counter:get_extra_state() return 3 end
--- function Counter:set_extra_state(count) self.count = count end
--- local counter = Counter()
--- counter:load_state_dict({_extra_state = 5})
--- counter.count  --> 5
function methods:set_extra_state() unreachable "set_extra_state" end

--- Puts the tensors of this module alone, and its extra state, into a state dict: override it to save something else.
---@param destination table<string, any>
---@param prefix string begin of every name
---@param keep_vars boolean the parameters themselves, not detached
function methods:_save_to_state_dict(destination, prefix, keep_vars)
  local names, tensors = own_state(self, keep_vars)
  for i, name in ipairs(names) do destination[prefix .. name] = tensors[i] end
  if class_of(self).get_extra_state ~= methods.get_extra_state then
    destination[prefix .. "_extra_state"] = self:get_extra_state()
  end
end

-- What a class has where state dicts are taken in no way of its own; see Note [Plain modules] in bindings.
local PLAIN <const> = {get_extra_state = methods.get_extra_state, _save_to_state_dict = methods._save_to_state_dict,
  [PRE] = false, [POST] = false}

local function add_all(destination, keys, values)
  for i, key in ipairs(keys) do destination[key] = values[i] end
end

local parse_state = signature("Module.state_dict", "destination=nil, prefix='', keep_vars=false")

--- Parameters, saved buffers and extra state by name, in order; the tensors share memory with the module. The versions of
--- the classes are in its `_metadata`.
---@param destination table? where they are put, a new table
---@param prefix string begin of every name, ''
---@param keep_vars boolean the parameters themselves, with their gradients, and not detached tensors, false
---@return table<string, Tensor>
---@example nn.Linear(2, 1):state_dict().weight.shape  --> torch.Size([1, 2])
function methods:state_dict(...)
  local destination, prefix, keep_vars = parse_state(...)
  local keys, tensors, paths, entries = native.plain_state(self, prefix, keep_vars, PLAIN)
  if keys and destination == nil then
    return ordered.state_dict(keys, tensors, ordered.new(paths, entries))
  elseif keys then
    add_all(destination, keys, tensors)
    if type(destination._metadata) == "table" then add_all(destination._metadata, paths, entries) end
    return destination
  end
  if destination == nil then
    destination = ordered.state_dict(nil, nil, ordered.new())
  end
  local fields, version = fields_of(self), {version = self._version}
  local metadata = destination._metadata
  if type(metadata) == "table" then metadata[prefix:sub(1, -2)] = version end
  for _, entry in ipairs(fields[PRE] or NONE) do entry.call(self, prefix, keep_vars) end
  self:_save_to_state_dict(destination, prefix, keep_vars)
  local names, children = native.child_list(self)
  for i, name in ipairs(names) do children[i]:state_dict(destination, prefix .. name .. ".", keep_vars) end
  for _, entry in ipairs(fields[POST] or NONE) do
    local replaced = entry.call(self, destination, prefix, version)
    if replaced ~= nil then
      if entry.public then vm.raise("usage", "state_dict post-hook must return None") end
      destination = replaced
    end
  end
  return destination
end
PLAIN.state_dict = methods.state_dict

local parse_hook = signature("Module.register_state_dict_pre_hook", "hook")

--- hook(module, prefix, keep_vars) runs before a state dict is taken of the module.
---@param hook function
---@return RemovableHandle
---@example local net, count = nn.Linear(2, 1), 0
--- net:register_state_dict_pre_hook(function() count = count + 1 end)
--- net:state_dict()
--- count  --> 1
function methods:register_state_dict_pre_hook(...) return add(self, PRE, {call = (parse_hook(...))}) end

local parse_post = signature("Module.register_state_dict_post_hook", "hook")

--- hook(module, state_dict, prefix, local_metadata) runs when the module's part of a state dict is there, and may change
--- it in place.
---@param hook function
---@return RemovableHandle
---@example local net = nn.Linear(2, 1)
--- net:register_state_dict_post_hook(function(_, state) state.bias = nil end)
--- net:state_dict().bias  --> nil
function methods:register_state_dict_post_hook(...)
  return add(self, POST, {call = (parse_post(...)), public = true})
end

-- As PyTorch's: what the hook returns takes the place of the whole state dict, of the module whose state is asked for.
function methods:_register_state_dict_hook(hook)
  for _, entry in ipairs(fields_of(self)[POST] or {}) do
    if entry.public and entry.call == hook then
      vm.raise("usage", "Cannot register the same function as the state dict post hook that was previously registered "
        .. "via register_state_dict_post_hook")
    end
  end
  return add(self, POST, {call = hook})
end

local parse_load_pre = signature("Module.register_load_state_dict_pre_hook", "hook")

--- hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs) runs before the
--- module takes its part of a state dict, which it may change: it is a copy.
---@param hook function
---@return RemovableHandle
---@example local net = nn.Linear(1, 1)
--- net:register_load_state_dict_pre_hook(function(_, state, prefix)
---   state[prefix .. "bias"], state[prefix .. "shift"] = state[prefix .. "shift"], nil
--- end)
--- net:load_state_dict{weight = torch.ones(1, 1), shift = torch.ones(1)}
--- net.bias:item()  --> 1.0
function methods:register_load_state_dict_pre_hook(...)
  return add(self, LOAD_PRE, {call = (parse_load_pre(...)), with_module = true})
end

-- As PyTorch's: without `with_module` the hook is called without the module.
function methods:_register_load_state_dict_pre_hook(hook, with_module)
  return add(self, LOAD_PRE, {call = hook, with_module = with_module or false})
end

local parse_load_post = signature("Module.register_load_state_dict_post_hook", "hook")

--- hook(module, incompatible_keys) runs when the module and all below it have taken a state dict; it may change the lists
--- `missing_keys` and `unexpected_keys`, and what is left in them is an error of a strict load.
---@param hook function
---@return RemovableHandle
---@example local net = nn.Linear(1, 1)
--- net:register_load_state_dict_post_hook(function(_, keys) table.remove(keys.missing_keys) end)
--- net:load_state_dict{weight = torch.ones(1, 1)}  --> <All keys matched successfully>
function methods:register_load_state_dict_post_hook(...)
  return add(self, LOAD_POST, {call = (parse_load_post(...))})
end

return methods
