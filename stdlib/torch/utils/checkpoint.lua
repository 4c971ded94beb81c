-- torch.utils.checkpoint: activations that are computed again in the backward instead of kept.
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local log = require "native.log"
local mode = require "torch.mode"
local named = require "torch.named"
local signature = require "torch.signature"
local state = require "torch.utils.checkpoint_state"
local vm = require "native.vm"

local checkpoint = {get_device_states = state.get_device_states, set_device_states = state.set_device_states}

local OPTIONS <const> = {use_reentrant = true, preserve_rng_state = true, determinism_check = true, debug = true,
  early_stop = true, context_fn = true}

-- What the scopes below say instead of a call's own option.
local early_stop, debug_enabled

--- Two functions that call fn(...): a context_fn that changes nothing.
---@return fun(fn: function, ...): any forward
---@return fun(fn: function, ...): any recompute
---@example local forward = torch.utils.checkpoint.noop_context_fn()
--- forward(math.max, 2, 3)  --> 3
function checkpoint.noop_context_fn()
  local function run(fn, ...) return fn(...) end
  return run, run
end

--- Until the scope ends, or in fn(...), checkpoints stop running their function again as soon as all that is needed is
--- there, or do not, whatever their early_stop says. It counts when the forward runs.
---@param enable boolean
---@param fn? function
---@return any|scope
---@example torch.utils.checkpoint.set_checkpoint_early_stop(false, math.max, 2, 3)  --> 3
checkpoint.set_checkpoint_early_stop = mode("torch.utils.checkpoint.set_checkpoint_early_stop", "enable", function(enable)
  local before = early_stop
  early_stop = enable
  return function() early_stop = before end
end)

--- Until the scope ends, or in fn(...), checkpoints list their operators in errors, or do not, whatever their debug
--- says; nil: as that says.
---@param enabled? boolean
---@param fn? function
---@return any|scope
---@example torch.utils.checkpoint.set_checkpoint_debug_enabled(true, math.max, 2, 3)  --> 3
checkpoint.set_checkpoint_debug_enabled = mode("torch.utils.checkpoint.set_checkpoint_debug_enabled", "enabled",
  function(enabled)
    local before = debug_enabled
    debug_enabled = enabled
    return function() debug_enabled = before end
  end)

--- The values, tensors detached from their graph: they require a gradient as before.
---@param inputs any[]
---@return any[]
---@example local y = torch.ones(1, {requires_grad = true}) * 2
--- torch.utils.checkpoint.detach_variable({y})[1].is_leaf  --> true
checkpoint.detach_variable = named("torch.utils.checkpoint.detach_variable", "inputs", function(inputs)
  if type(inputs) ~= "table" then
    vm.raise("usage", "Only tuple of tensors is supported. Got Unsupported input type: " .. vm.describe(inputs))
  end
  local detached = {}
  for i, input in ipairs(inputs) do
    detached[i] = is_tensor(input) and input:detach():requires_grad_(input.requires_grad) or input
  end
  return detached
end)

--- Warns where no tensor of the list requires a gradient.
---@param inputs any[]
---@example torch.utils.checkpoint.check_backward_validity {torch.ones(1, {requires_grad = true})}
checkpoint.check_backward_validity = named("torch.utils.checkpoint.check_backward_validity", "inputs", function(inputs)
  for _, input in ipairs(inputs) do
    if is_tensor(input) and input.requires_grad then return end
  end
  log.warn("None of the inputs have requires_grad=True. Gradients will be None")
end)

-- The options of a last table, if each of its keys is one of them.
local function split(...)
  local count = select("#", ...)
  local last = count > 0 and select(count, ...) or nil
  if type(last) ~= "table" or getmetatable(last) ~= nil or next(last) == nil then return {}, count end
  for key in pairs(last) do
    if not OPTIONS[key] then return {}, count end
  end
  return last, count - 1
end

local warned = false

local function reentrant_by_default(where)
  if not warned then
    log.warn(where .. ": the use_reentrant parameter should be passed explicitly; it is true now, {use_reentrant = false} " ..
      "is recommended.")
  end
  warned = true
  return true
end

-- What context_fn returns: two functions, or nothing.
local function contexts(context_fn)
  if context_fn == nil then return nil, nil end
  local forward, recompute = context_fn()
  for i, each in ipairs {forward or false, recompute or false} do
    if not each or type(each) ~= "function" and getmetatable(each) == nil then
      vm.raise("usage", ("torch.utils.checkpoint: context_fn must return two functions (fn, ...) that call fn(...), got " ..
        "%s as the %s"):format(vm.describe(each or nil), i == 1 and "first" or "second"))
    end
  end
  return forward, recompute
end

local function call(f, options, ...)
  local use_reentrant = options.use_reentrant
  if use_reentrant == nil then use_reentrant = reentrant_by_default("torch.utils.checkpoint") end
  local preserve = options.preserve_rng_state ~= false
  if use_reentrant then
    if options.context_fn ~= nil and options.context_fn ~= checkpoint.noop_context_fn or options.debug then
      vm.raise("usage", "Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    end
    return require("torch.utils.checkpoint_reentrant").apply(f, preserve, ...)
  end
  local debug = options.debug
  if debug_enabled ~= nil then debug = debug_enabled end
  if debug and options.context_fn ~= nil and options.context_fn ~= checkpoint.noop_context_fn then
    vm.raise("usage", "debug=True is incompatible with non-default context_fn")
  end
  local check = options.determinism_check
  if check ~= nil and check ~= "default" and check ~= "none" then
    vm.raise("usage", ("determinism_check should be one of ['default', 'none'], but got %s"):format(tostring(check)))
  end
  local forward, recompute = contexts(options.context_fn)
  if not native.is_grad_enabled() then return f(...) end
  local stop = early_stop
  if stop == nil then stop = options.early_stop ~= false end
  return require("torch.utils.checkpoint_frame")(f, {preserve_rng_state = preserve, early_stop = stop,
    determinism_check = check, debug = debug, forward = forward, recompute = recompute}, ...)
end

--- Calls f(...) without keeping what its operators would save for the backward, which runs f again instead: less memory
--- for more time, and the same gradients. Random numbers, autocast and the default device are as in the forward. f may be a
--- module. A BatchNorm in it meets each batch twice: a momentum of 1 - sqrt(1 - m) gives the running statistics of m.
---
--- A last table holds options, if all of its keys are among these:
--- - use_reentrant: pass it; true where it is not given, with a warning. false is recommended: it works with
---   torch.autograd.grad and `inputs`, with inputs that require no gradient and with tensors in tables, and stops early.
--- - preserve_rng_state = true: random numbers are drawn the same again.
--- - context_fn (use_reentrant = false): called in the forward, returns two functions (fn, ...) that call fn(...), such as
---   torch.no_grad: f runs under the first in the forward, under the second when it runs again.
--- - determinism_check = "default" (use_reentrant = false): shapes, dtypes and devices must be the same; or "none".
--- - debug = false (use_reentrant = false): an error lists the operators of both runs.
--- - early_stop = true (use_reentrant = false): f runs again no further than needed; see set_checkpoint_early_stop.
---@param f function
---@param ... any its arguments, then the options
---@return any ... what f returns
---@example local x = torch.ones(2, {requires_grad = true})
--- torch.utils.checkpoint.checkpoint(torch.exp, x, {use_reentrant = false}):sum():backward()
--- x.grad  --> tensor([2.7183, 2.7183])
function checkpoint.checkpoint(f, ...)
  if type(f) ~= "function" and getmetatable(f) == nil or is_tensor(f) then
    vm.raise("usage", "torch.utils.checkpoint: argument 'function' must be a function, got " .. vm.describe(f))
  end
  local options, count = split(...)
  if count == select("#", ...) then return call(f, options, ...) end
  local arguments = table.pack(...)
  return call(f, options, table.unpack(arguments, 1, count))
end

local parse_sequential = signature("checkpoint_sequential",
  "functions, segments, input, use_reentrant=nil, *, preserve_rng_state=true")

--- Calls modules or functions one after the other, checkpointed in so many segments; the last one keeps its activations.
---@param functions Module|function[] a Sequential, or a list
---@param segments integer
---@param input any
---@param use_reentrant? boolean true, with a warning
---@param preserve_rng_state? boolean true
---@return any
---@example local net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
--- torch.utils.checkpoint.checkpoint_sequential(net, 2, torch.ones(3, 2), {use_reentrant = false}).shape
--- --> torch.Size([3, 1])
function checkpoint.checkpoint_sequential(...)
  local functions, segments, input, use_reentrant, preserve_rng_state = parse_sequential(...)
  local options = {use_reentrant = use_reentrant, preserve_rng_state = preserve_rng_state}
  if use_reentrant == nil then
    options.use_reentrant = reentrant_by_default("torch.utils.checkpoint.checkpoint_sequential")
  end
  local list = functions
  if type(functions) == "userdata" then list = functions:children() end
  if math.type(segments) ~= "integer" or segments < 1 then
    vm.raise("usage", "checkpoint_sequential: argument 'segments' must be a positive integer, got " .. vm.describe(segments))
  end
  local function part(first, last)
    return function(x)
      for i = first, last do x = list[i](x) end
      return x
    end
  end
  local size, last = #list // segments, 0
  for start = 1, size * (segments - 1), math.max(size, 1) do
    last = start + size - 1
    input = call(part(start, last), options, input)
  end
  return part(last + 1, #list)(input)
end

local MODES <const> = "it rests on modes of Python's dispatcher, which there are none of here: checkpoint the parts "
  .. "that are cheap to compute again, or say with torch.autograd.graph.saved_tensors_hooks what is kept"

return require("host.namespace")("torch.utils.checkpoint", {held = checkpoint, absent = {
  create_selective_checkpoint_contexts = MODES, SelectiveCheckpointContext = MODES, CheckpointPolicy = MODES,
  SAC_IGNORED_OPS = MODES, GraphExecGroup = MODES,
}})
