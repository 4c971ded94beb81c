-- Hooks of optimizers: before and after a step, around state_dict and load_state_dict; of one optimizer or of all.
local hook_list = require "torch.hook_list"
local text = require "torch.python_text"
local vm = require "native.vm"

local hooks = {}

local every = {}  -- of all optimizers: _step_pre, _step_post

local function itself(holder) return holder end
local add_entry = hook_list.of(itself)

local function add(holder, key, hook, prepend) return add_entry(holder, key, {call = hook}, prepend) end

local NONE <const> = {}

--- Has a step of this optimizer hooks?
function hooks.has_step(self)
  return (every._step_pre or every._step_post or rawget(self, "_step_pre") or rawget(self, "_step_post")) ~= nil
end

--- A step with its hooks around it.
function hooks.step(self, step, ...)
  local args = table.pack(...)
  for _, list in ipairs {every._step_pre or NONE, rawget(self, "_step_pre") or NONE} do
    for _, hook in ipairs(list) do
      local replaced = hook.call(self, args, {})
      if replaced ~= nil then
        if type(replaced) ~= "table" then
          vm.raise("usage", ("%s.step must return None or a tuple of (new_args, new_kwargs), but got %s."):format(
            self.__name, text.value(replaced)))
        end
        args = replaced
        args.n = args.n or #args
      end
    end
  end
  local results = table.pack(step(self, table.unpack(args, 1, args.n)))
  for _, list in ipairs {rawget(self, "_step_post") or NONE, every._step_post or NONE} do
    for _, hook in ipairs(list) do hook.call(self, args, {}) end
  end
  return table.unpack(results, 1, results.n)
end

--- Runs the hooks of one kind with (optimizer, value); what one returns takes the value's place.
function hooks.run(self, name, value)
  for _, hook in ipairs(rawget(self, name) or {}) do
    local replaced = hook.call(self, value)
    if replaced ~= nil then value = replaced end
  end
  return value
end

local methods = {}
hooks.methods = methods

--- hook(optimizer, args, kwargs) runs before each step; a table that it returns takes the place of the arguments.
---@param hook function
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- opt:register_step_pre_hook(function() count = count + 1 end)
--- opt:step()
--- count  --> 1
function methods:register_step_pre_hook(hook) return add(self, "_step_pre", hook) end

--- hook(optimizer, args, kwargs) runs after each step.
---@param hook function
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local handle = opt:register_step_post_hook(function() end)
--- handle:remove()
function methods:register_step_post_hook(hook) return add(self, "_step_post", hook) end

--- hook(optimizer) runs before state_dict.
---@param hook function
---@param prepend? boolean before those that are there, false
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- opt:register_state_dict_pre_hook(function() count = count + 1 end)
--- opt:state_dict()
--- count  --> 1
function methods:register_state_dict_pre_hook(hook, prepend)
  if type(prepend) == "table" then prepend = prepend.prepend end
  return add(self, "_state_dict_pre", hook, prepend)
end

--- hook(optimizer, state_dict) runs after state_dict, and may return another.
---@param hook function
---@param prepend? boolean before those that are there, false
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- opt:register_state_dict_post_hook(function() count = count + 1 end)
--- opt:state_dict()
--- count  --> 1
function methods:register_state_dict_post_hook(hook, prepend)
  if type(prepend) == "table" then prepend = prepend.prepend end
  return add(self, "_state_dict_post", hook, prepend)
end

--- hook(optimizer, state_dict) runs before load_state_dict, and may return another.
---@param hook function
---@param prepend? boolean before those that are there, false
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- opt:register_load_state_dict_pre_hook(function() count = count + 1 end)
--- opt:load_state_dict(opt:state_dict())
--- count  --> 1
function methods:register_load_state_dict_pre_hook(hook, prepend)
  if type(prepend) == "table" then prepend = prepend.prepend end
  return add(self, "_load_state_dict_pre", hook, prepend)
end

--- hook(optimizer) runs after load_state_dict.
---@param hook function
---@param prepend? boolean before those that are there, false
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- opt:register_load_state_dict_post_hook(function() count = count + 1 end)
--- opt:load_state_dict(opt:state_dict())
--- count  --> 1
function methods:register_load_state_dict_post_hook(hook, prepend)
  if type(prepend) == "table" then prepend = prepend.prepend end
  return add(self, "_load_state_dict_post", hook, prepend)
end

--- hook(optimizer, args, kwargs) runs before each step of any optimizer.
---@param hook function
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- local handle = torch.optim.Optimizer.register_optimizer_step_pre_hook(function() count = count + 1 end)
--- opt:step()
--- handle:remove()
--- count  --> 1
function hooks.register_optimizer_step_pre_hook(hook) return add(every, "_step_pre", hook) end

--- hook(optimizer, args, kwargs) runs after each step of any optimizer.
---@param hook function
---@return RemovableHandle
---@example local opt = torch.optim.SGD({torch.ones(1, {requires_grad = true})})
--- local count = 0
--- local handle = torch.optim.Optimizer.register_optimizer_step_post_hook(function() count = count + 1 end)
--- opt:step()
--- handle:remove()
--- count  --> 1
function hooks.register_optimizer_step_post_hook(hook) return add(every, "_step_post", hook) end

return hooks
