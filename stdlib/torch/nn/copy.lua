-- Copies of modules that share nothing with the original.
local hooks = require("torch.nn.hooks").hooks
local native = require "native.model"
local ordered = require "host.ordered"
local torch = require "torch"

local methods = {}

local copy_module

local function copy(value, memo)
  local kind = type(value)
  if kind ~= "table" and kind ~= "userdata" then return value end
  if memo[value] ~= nil then return memo[value] end
  if native.is_module(value) then return copy_module(value, memo) end
  if native.is_uninitialized(value) then
    memo[value] = require("torch.nn.uninitialized").copy(value)
    return memo[value]
  end
  if native.is_parameter(value) then
    memo[value] = native.parameter(value.data:clone(), value.requires_grad)
    return memo[value]
  end
  if torch.is_tensor(value) then
    memo[value] = value:detach():clone():requires_grad_(value.requires_grad)
    return memo[value]
  end
  if kind == "userdata" then return value end
  if ordered.is(value) then
    return ordered.copy(value, function(item) return copy(item, memo) end, function(made) memo[value] = made end)
  end
  local fresh = {}
  memo[value] = fresh
  for key, item in next, value do fresh[copy(key, memo)] = copy(item, memo) end
  return setmetatable(fresh, getmetatable(value))
end

function copy_module(self, memo)
  if native.is_foreign(self) then
    memo[self] = self:deepcopy()
    return memo[self]
  end
  local own_way = native.class_of(self).__deepcopy__
  if own_way then
    memo[self] = own_way(self, memo)
    return memo[self]
  end
  local fresh = native.new(native.class_of(self))
  memo[self] = fresh
  local fields = native.fields(self)
  -- Slots first and in their order, then what is left.
  for _, name in ipairs(native.slots(self)) do
    local value = fields[name] and copy(fields[name], memo)
    if native.slot(self, name) == "parameter" then
      native.register_parameter(fresh, name, value)
    else
      native.register_buffer(fresh, name, value, native.is_persistent(self, name))
    end
  end
  local child_names, children = native.child_list(self)
  local child_of = {}
  for i, name in ipairs(child_names) do child_of[name] = children[i] end
  for _, name in ipairs(native.child_slots(self)) do
    if child_of[name] then fresh[name] = copy(child_of[name], memo)
    else native.reserve_child(fresh, name) end
  end
  local into = native.fields(fresh)
  for key, value in pairs(fields) do
    if type(key) == "string" and into[key] == nil and native.slot(self, key) == "none" then
      into[key] = copy(value, memo)
    end
  end
  local thawed = native.thawed_training(self)
  native.set_training(fresh, thawed == nil and self.training or thawed == true)
  native.set_frozen(fresh, thawed ~= nil)
  hooks.refresh(fresh)
  local copied = native.class_of(self).__copied
  if copied then copied(fresh) end
  return fresh
end

--- A copy with its own tensors; ties inside stay ties, gradients are not copied, hooks are the same functions. A class
--- with `__deepcopy__(self, memo)` copies its modules by that.
---@return Module
---@example local a = nn.Linear(2, 1)
--- torch.equal(a:deepcopy().weight, a.weight)  --> true
function methods:deepcopy() return copy(self, {}) end

return methods
