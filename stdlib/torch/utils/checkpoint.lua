-- torch.utils.checkpoint: activations that are computed again in the backward instead of kept.
local is_tensor = require("native.model").is_tensor
local native = require "native.autograd"
local log = require "native.log"
local signature = require "torch.signature"
local vm = require "native.vm"

local checkpoint = {}

local OPTIONS <const> = {use_reentrant = true, preserve_rng_state = true, determinism_check = true, debug = true,
  early_stop = true, context_fn = true}
local TIP <const> = "\nTip: make the function save the same tensors each time it runs: see early_stop and " ..
  "determinism_check."

-- --- Random numbers of the forward

-- Of the CUDA devices that the arguments are on: {index, state} each.
local function cuda_states(torch, ...)
  local states, known
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if is_tensor(value) and value.is_cuda then
      local index = value.device.index
      states, known = states or {}, known or {}
      if not known[index] then
        known[index] = true
        states[#states + 1] = {index, torch.cuda.get_rng_state(index)}
      end
    end
  end
  return states
end

--- The states of the generators that a function with these arguments may draw from.
---@param ... any
---@return table
local function random_state(...)
  local torch = require "torch"
  return {cpu = torch.get_rng_state(), cuda = cuda_states(torch, ...)}
end

local function set_random_state(state)
  local torch = require "torch"
  torch.set_rng_state(state.cpu)
  for _, each in ipairs(state.cuda or {}) do torch.cuda.set_rng_state(each[2], each[1]) end
end

local Forked = {__close = function(self) set_random_state(self.state) end}

--- Draws from these states until the scope ends.
---@param state table
---@param ... any the arguments of the function
---@return scope
local function with_random_state(state, ...)
  if not state then return nil end
  local forked = setmetatable({state = random_state(...)}, Forked)
  set_random_state(state)
  return forked
end

checkpoint.parts = {random_state = random_state, with_random_state = with_random_state}

-- --- Without re-entrance: operators save a ticket; the first one that is asked for runs the function again.

local Holder, Stop = {}, setmetatable({}, {__tostring = function() return "the tensors that are needed are there" end})
local unique = 0

local function metadata(x) return {x.shape, x.dtype, x.device} end

local function describe(meta)
  return ("{'shape': %s, 'dtype': %s, 'device': %s}"):format(tostring(meta[1]), tostring(meta[2]), tostring(meta[3]))
end

local function new_frame(f, state, options, ...)
  local frame = {f = f, state = state, arguments = table.pack(...), holders = setmetatable({}, {__mode = "v"}), count = 0,
    metadata = {}, early_stop = options.early_stop ~= false, check = options.determinism_check ~= "none"}
  for i = 1, frame.arguments.n do  -- changed in place before the backward, an argument is an error, as what is saved is
    local argument = frame.arguments[i]
    if is_tensor(argument) and not argument:is_inference() then
      frame.versions = frame.versions or {}
      frame.versions[i] = argument._version
    end
  end
  return frame
end

local function check_arguments(frame)
  for i, version in pairs(frame.versions or {}) do
    local argument = frame.arguments[i]
    if argument._version ~= version then
      vm.raise("usage", ("one of the variables needed for gradient computation has been modified by an inplace " ..
        "operation: an argument of torch.utils.checkpoint is at version %d; expected version %d instead."):format(
        argument._version, version))
    end
  end
end

local function check_match(frame, run)
  if frame.ignore_mismatch then return end
  if frame.count ~= run.count then
    vm.raise("usage", ("torch.utils.checkpoint: A different number of tensors was saved during the original forward and " ..
      "recomputation.\nNumber of tensors saved during forward: %d\nNumber of tensors saved during recomputation: %d.\n%s")
      :format(frame.count, run.count, TIP))
  end
  if not frame.check then return end
  local wrong = {}
  for i = 1, frame.count do
    local holder, saved = frame.holders[i], frame.metadata[i]
    local now = holder and holder.values[run] and metadata(holder.values[run])
    if now and (now[1] ~= saved[1] or now[2] ~= saved[2] or now[3] ~= saved[3]) then
      wrong[#wrong + 1] = ("tensor at position %d:\nsaved metadata: %s\nrecomputed metadata: %s\n"):format(i - 1,
        describe(saved), describe(now))
    end
  end
  if #wrong > 0 then
    vm.raise("usage", ("torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than " ..
      "during the forward pass.\n%s.\n%s"):format(table.concat(wrong), TIP))
  end
end

local function recompute(frame, run)
  check_arguments(frame)
  local function pack(x)
    if x.requires_grad then x = x:detach() end
    run.count = run.count + 1
    if run.count > frame.count then
      if not frame.completed then
        frame.ignore_mismatch = true
        return x
      end
      vm.raise("usage", "torch.utils.checkpoint: trying to save more tensors during recomputation than during the " ..
        "original forward pass.\n" .. TIP)
    end
    local holder = frame.holders[run.count]
    if holder then holder.values[run] = x end
    if frame.early_stop and run.count == frame.count then error(Stop, 0) end
    return x
  end
  local function again()
    local _ <close> = with_random_state(frame.state, table.unpack(frame.arguments, 1, frame.arguments.n))
    local _ <close> = native.saved_tensors_hooks(pack, function(x) return x end)
    local _ <close> = native.enable_grad()
    frame.f(table.unpack(frame.arguments, 1, frame.arguments.n))
  end
  local ok, failure = pcall(again)
  if not ok and failure ~= Stop then error(failure, 0) end
  check_match(frame, run)
end

local function unpack_hook(holder)
  local frame = holder.frame
  local id = native.graph_task_id()
  if id == -1 then
    unique = unique - 1
    id = unique
  end
  frame.runs = frame.runs or {}
  local run = frame.runs[id]
  if not run then
    run = {count = 0}
    frame.runs[id] = run
    recompute(frame, run)
  end
  local value = holder.values[run]
  if value == nil then
    vm.raise("usage", "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. If " ..
      "you are calling ctx.saved_tensors in backward, make sure to do so only once. Otherwise please open an issue with " ..
      "details on your use case.")
  end
  holder.values[run] = nil
  return value
end

local function run_forward(frame)
  local function pack(x)
    local holder = setmetatable({frame = frame, values = {}}, Holder)
    frame.count = frame.count + 1
    frame.holders[frame.count] = holder
    if frame.check then frame.metadata[frame.count] = metadata(x) end
    return holder
  end
  local _ <close> = native.saved_tensors_hooks(pack, unpack_hook)
  local results = table.pack(frame.f(table.unpack(frame.arguments, 1, frame.arguments.n)))
  frame.completed = true
  return table.unpack(results, 1, results.n)
end

-- --- The call

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

local function call(f, options, ...)
  local use_reentrant = options.use_reentrant
  if use_reentrant == nil then use_reentrant = reentrant_by_default("torch.utils.checkpoint") end
  if options.context_fn ~= nil or options.debug then
    vm.raise("usage", use_reentrant and
      "Passing `context_fn` or `debug` is only supported when use_reentrant=False." or
      "torch.utils.checkpoint: `context_fn` and `debug` rest on modes of Python's dispatcher, which there are none of here")
  end
  local check = options.determinism_check
  if check ~= nil and check ~= "default" and check ~= "none" then
    vm.raise("usage", ("determinism_check should be one of ['default', 'none'], but got %s"):format(tostring(check)))
  end
  local preserve = options.preserve_rng_state ~= false
  if use_reentrant then return require("torch.utils.checkpoint_reentrant").apply(f, preserve, ...) end
  if not native.is_grad_enabled() then return f(...) end
  return run_forward(new_frame(f, preserve and random_state(...), options, ...))
end

--- Calls f(...) without keeping what its operators would save for the backward, which runs f again instead: less memory
--- for more time, and the same gradients (random numbers are drawn the same).
---@param f function
---@param ... any its arguments; a last table {use_reentrant = false, preserve_rng_state = true, determinism_check =
--- "default", early_stop = true} of options
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

return require("host.namespace")("torch.utils.checkpoint", {held = checkpoint})
