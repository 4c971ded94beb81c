-- Hooks of modules: how they are registered, and the call of a module that has some. One without hooks does not come here.
local hook_list = require "torch.hook_list"
local keywords = require "host.keywords"
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local methods, module_hooks = {}, {}
local fields_of <const>, pack <const>, unpack <const> = native.fields, table.pack, table.unpack
local PRE <const>, POST <const>, BACKWARD_PRE <const>, BACKWARD <const> =
  "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"

local every <const> = {}  -- the hooks of all modules, under the same keys
module_hooks.every = every

local function has_calls(lists) return (lists[PRE] or lists[POST] or lists[BACKWARD_PRE] or lists[BACKWARD]) ~= nil end

--- Sends the calls of a module through its hooks, if it has any.
function module_hooks.refresh(module)
  local fields = fields_of(module)
  native.set_hooked(module, has_calls(fields))
  if not fields[BACKWARD] then fields._is_full_backward_hook = nil end
end

--- Adds to a list of a module's hooks.
module_hooks.add = hook_list.of(fields_of, module_hooks.refresh)

--- Adds to a list of all modules' hooks.
module_hooks.add_to_every = hook_list.of(function() return every end, function()
  native.set_all_hooked(has_calls(every))
  if not every[BACKWARD] then every._is_full_backward_hook = nil end
  native.set_registering((every.parameter or every.buffer or every.child) ~= nil)
end)
local add <const> = module_hooks.add

--- Full backward hooks and those of the old kind do not mix.
function module_hooks.set_full(lists, full, where)
  if lists._is_full_backward_hook ~= nil and lists._is_full_backward_hook ~= full then
    vm.raise("usage", ("Cannot use both regular backward hooks and full backward hooks %s. Please use only one of them.")
      :format(where))
  end
  lists._is_full_backward_hook = full
end

local parse_pre = signature("Module.register_forward_pre_hook", "hook, *, prepend=false, with_kwargs=false")

--- hook(module, args) runs before forward; `args` is a list. What it returns, if not nil, replaces the arguments: a list
--- of them, or the only one.
---@param hook function
---@param prepend boolean before the hooks that are there, false
---@param with_kwargs boolean hook(module, args, kwargs), where a last table of keywords is `kwargs` and no argument; it
---returns args, kwargs; false
---@return RemovableHandle
---@example local net = nn.ReLU()
--- net:register_forward_pre_hook(function(_, args) return args[1] + 1 end)
--- net(torch.zeros(2))  --> tensor([1., 1.])
function methods:register_forward_pre_hook(...)
  local hook, prepend, with_kwargs = parse_pre(...)
  return add(self, PRE, {call = hook, with_kwargs = with_kwargs}, prepend)
end

local parse_post = signature("Module.register_forward_hook", "hook, *, prepend=false, with_kwargs=false, always_call=false")

--- hook(module, args, output) runs after forward; several outputs come as a list. What it returns, if not nil, replaces
--- the output.
---@param hook function
---@param prepend boolean before the hooks that are there, false
---@param with_kwargs boolean hook(module, args, kwargs, output), where a last table of keywords is `kwargs` and no
---argument, false
---@param always_call boolean runs also when forward or another hook fails, with nil for the output, false
---@return RemovableHandle
---@example local net = nn.ReLU()
--- local handle = net:register_forward_hook(function(_, args, output) return output + 1 end)
--- net(torch.zeros(2))  --> tensor([1., 1.])
--- handle:remove()
--- net(torch.zeros(2))  --> tensor([0., 0.])
function methods:register_forward_hook(...)
  local hook, prepend, with_kwargs, always_call = parse_post(...)
  return add(self, POST, {call = hook, with_kwargs = with_kwargs, always_call = always_call}, prepend)
end

local parse_backward_pre = signature("Module.register_full_backward_pre_hook", "hook, prepend=false")

--- hook(module, grad_output) runs when the gradients of the module's outputs are there: a list, in which torch.None stands
--- for what has none. What it returns, if not nil, replaces them.
---@param hook function
---@param prepend boolean before the hooks that are there, false
---@return RemovableHandle
---@example local layer, x = nn.Linear(1, 1), torch.ones(1)
--- layer:register_full_backward_pre_hook(function(_, grad_output) return {grad_output[1] * 3} end)
--- layer(x):backward()
--- layer.bias.grad  --> tensor([3.])
function methods:register_full_backward_pre_hook(...)
  local hook, prepend = parse_backward_pre(...)
  return add(self, BACKWARD_PRE, {call = hook}, prepend)
end

local parse_backward = signature("Module.register_full_backward_hook", "hook, prepend=false")

--- hook(module, grad_input, grad_output) runs when the gradients of the module's arguments are there, or those of its
--- outputs where no argument requires one: lists, in which torch.None stands for what has none. What it returns, if not
--- nil, replaces grad_input.
---@param hook function
---@param prepend boolean before the hooks that are there, false
---@return RemovableHandle
---@example local layer, x = nn.ReLU(), torch.ones(2, {requires_grad = true})
--- layer:register_full_backward_hook(function(_, grad_input) return {grad_input[1] * 2} end)
--- layer(x):sum():backward()
--- x.grad  --> tensor([2., 2.])
function methods:register_full_backward_hook(...)
  local hook, prepend = parse_backward(...)
  module_hooks.set_full(fields_of(self), true, "on a single Module")
  return add(self, BACKWARD, {call = hook}, prepend)
end

local parse_old = signature("Module.register_backward_hook", "hook")

--- The old kind of register_full_backward_hook: it sees the gradients of the last operator of forward alone.
---@param hook function hook(module, grad_input, grad_output)
---@return RemovableHandle
---@example local layer, x, seen = nn.ReLU(), torch.ones(2, {requires_grad = true}), nil
--- layer:register_backward_hook(function(_, _, grad_output) seen = grad_output[1] end)
--- layer(x):sum():backward()
--- seen  --> tensor([1., 1.])
function methods:register_backward_hook(...)
  local hook = parse_old(...)
  module_hooks.set_full(fields_of(self), false, "on a single Module")
  return add(self, BACKWARD, {call = hook})
end

-- The first pre-hook of which matches(hook) is true, and what removes it.
function methods:_find_forward_pre_hook(matches)
  local lists = fields_of(self)
  for _, entry in ipairs(lists[PRE] or {}) do
    if matches(entry.call) then
      return entry.call, function()
        local fresh = {}
        for _, each in ipairs(lists[PRE] or {}) do
          if each ~= entry then fresh[#fresh + 1] = each end
        end
        lists[PRE] = #fresh > 0 and fresh or nil
        module_hooks.refresh(self)
      end
    end
  end
end

-- --- The call

-- A last table of keywords, apart from the arguments.
local function split(args)
  local last = args[args.n]
  if args.n == 0 or not keywords.is(last) then return args, {} end
  return table.move(args, 1, args.n - 1, 1, {n = args.n - 1}), last
end

local function join(args, kwargs)
  local count = args.n or #args
  local joined = table.move(args, 1, count, 1, {n = count})
  if next(kwargs) ~= nil then
    joined.n = count + 1
    joined[joined.n] = kwargs
  end
  return joined
end

-- Is it a list, where Python has a tuple? Other tables are one value.
local function is_list(value)
  return type(value) == "table" and getmetatable(value) == nil and (value.n ~= nil or not keywords.is(value))
end

-- What a pre-hook without keywords returned: new arguments, or the old ones.
local function replaced_args(args, first, ...)
  if select("#", ...) > 0 then return pack(first, ...) end
  if first == nil then return args end
  if not is_list(first) then return {first, n = 1} end
  first.n = first.n or #first
  return first
end

local function replaced_both(args, first, second)
  if first == nil then return args end
  if second == nil and is_list(first) and #first == 2 and type(first[2]) == "table" then first, second = first[1], first[2] end
  if second == nil then
    vm.raise("usage", "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
      .. text.value(first) .. ".")
  end
  return join(is_list(first) and first or {first}, second)
end

local function run_pre(self, list, args)
  for i = 1, list and #list or 0 do
    local entry = list[i]
    if entry.with_kwargs then
      local positional, named = split(args)
      args = replaced_both(args, entry.call(self, positional, named))
    else
      args = replaced_args(args, entry.call(self, args))
    end
  end
  return args
end

-- Several outputs are seen as a list, and a list in their place is several outputs.
local function replaced_outputs(outputs, first, ...)
  if select("#", ...) > 0 then return pack(first, ...) end
  if first == nil then return outputs end
  if outputs.n > 1 and is_list(first) then
    first.n = first.n or #first
    return first
  end
  return {first, n = 1}
end

local function call_post(self, entry, args, outputs)
  local output = outputs
  if outputs.n <= 1 then output = outputs[1] end
  if not entry.with_kwargs then return replaced_outputs(outputs, entry.call(self, args, output)) end
  local positional, named = split(args)
  return replaced_outputs(outputs, entry.call(self, positional, named, output))
end

-- Where a call is: what an `always_call` hook gets when it fails.
local function run_post(self, list, at)
  for i = 1, list and #list or 0 do
    local entry = list[i]
    if entry.always_call then at.called[entry] = true end
    at.outputs = call_post(self, entry, at.args, at.outputs)
  end
end

local function run(self, fields, at)
  at.args = run_pre(self, fields[PRE], run_pre(self, every[PRE], at.args))
  local backward
  if fields[BACKWARD] or every[BACKWARD] or fields[BACKWARD_PRE] or every[BACKWARD_PRE] then
    backward = require("torch.nn.backward_hooks")(self, every, fields)
    at.args = backward.inputs(at.args)
  end
  at.outputs = pack(self.forward(self, unpack(at.args, 1, at.args.n)))
  run_post(self, every[POST], at)
  run_post(self, fields[POST], at)
  if backward then at.outputs = backward.outputs(at.args, at.outputs) end
end

local function has_always(list)
  for i = 1, list and #list or 0 do
    if list[i].always_call then return true end
  end
  return false
end

local function run_always(self, list, at, of)
  for i = 1, list and #list or 0 do
    local entry = list[i]
    if entry.always_call and not at.called[entry] then
      local ok, result = pcall(call_post, self, entry, at.args, at.outputs)
      if ok then at.outputs = result
      else
        warn(("%smodule forward hook with ``always_call=True`` raised an exception that was silenced as another error "
          .. "was raised in forward: %s"):format(of, python_type.message(result)))
      end
    end
  end
end

function methods:_call_hooked(...)
  local fields = fields_of(self)
  local at = {args = pack(...), outputs = {n = 0}, called = {}}
  if not has_always(every[POST]) and not has_always(fields[POST]) then
    run(self, fields, at)
  else
    local ok, failure = pcall(run, self, fields, at)
    if not ok then
      run_always(self, every[POST], at, "global ")
      run_always(self, fields[POST], at, "")
      error(failure, 0)
    end
  end
  return unpack(at.outputs, 1, at.outputs.n)
end

-- What is about to be registered, by the hooks of registrations.
function methods:_registering(slot, name, value)
  for _, entry in ipairs(every[slot] or {}) do
    local replaced = entry.call(self, name, value)
    if replaced ~= nil then value = replaced end
  end
  return value
end

return {methods = methods, hooks = module_hooks}
