-- torch.utils.checkpoint without re-entrance: operators save a ticket; the first that is asked for runs the function again.
local is_tensor = require("native.tensor").is_tensor
local keep = require("native.tensor").keep
local native = require "native.autograd"
local state = require "torch.utils.checkpoint_state"
local vm = require "native.vm"

local TIP <const> = "\nTip: make the function save the same tensors each time it runs: see early_stop and " ..
  "determinism_check, and debug = true, which lists the operators of both runs."

local Holder, Stop = {}, setmetatable({}, {__tostring = function() return "the tensors that are needed are there" end})
local unique = 0

local function metadata(x) return {x.shape, x.dtype, x.device} end

local function describe(meta)
  return ("{'shape': %s, 'dtype': %s, 'device': %s}"):format(tostring(meta[1]), tostring(meta[2]), tostring(meta[3]))
end

local function new_frame(f, options, ...)
  local frame = {f = f, state = state.read(options.preserve_rng_state, ...), forward = options.forward,
    recompute = options.recompute, original = options.debug and {} or nil,
    arguments = table.pack(...), holders = setmetatable({}, {__mode = "v"}), count = 0,
    metadata = {}, early_stop = options.early_stop, check = options.determinism_check ~= "none"}
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

-- The difference, as PyTorch's CheckpointError; with the operators of both runs where they were written down.
local function fail(frame, message)
  local lists = ""
  if frame.original then
    lists = ("\n\nOperators of the original forward:\n%s\n\nOperators of the recomputation:\n%s"):format(
      table.concat(frame.original, "\n"), table.concat(frame.again or {}, "\n"))
  end
  vm.raise("usage", message .. TIP .. lists)
end

local function check_match(frame, run)
  if frame.ignore_mismatch then return end
  if frame.count ~= run.count then
    fail(frame, ("torch.utils.checkpoint: A different number of tensors was saved during the original forward and " ..
      "recomputation.\nNumber of tensors saved during forward: %d\nNumber of tensors saved during recomputation: %d.\n")
      :format(frame.count, run.count))
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
    fail(frame, ("torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than " ..
      "during the forward pass.\n%s.\n"):format(table.concat(wrong)))
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
      run.saves_more = true  -- said below, when the list of operators is there
      error(Stop, 0)
    end
    local holder = frame.holders[run.count]
    if holder then holder.values[run] = keep(x) end  -- also where the function itself has a torch.scope
    if frame.early_stop and run.count == frame.count then error(Stop, 0) end
    return x
  end
  local function again(...)
    if frame.recompute then return frame.recompute(frame.f, ...) end
    return frame.f(...)
  end
  local function hooked(...)
    return native.saved_tensors_hooks(pack, function(x) return x end, native.enable_grad, again, ...)
  end
  local f = hooked
  if frame.original then
    frame.again = {}
    f = function(...) return native.log_operators(frame.again, hooked, ...) end
  end
  local ok, failure = pcall(state.under, frame.state, f, table.unpack(frame.arguments, 1, frame.arguments.n))
  if not ok and failure ~= Stop then error(failure, 0) end
  if run.saves_more then
    fail(frame, "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original " ..
      "forward pass.\n")
  end
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
  return keep(value, false)
end

local function run_forward(frame)
  local function pack(x)
    local holder = setmetatable({frame = frame, values = {}}, Holder)
    frame.count = frame.count + 1
    frame.holders[frame.count] = holder
    if frame.check then frame.metadata[frame.count] = metadata(x) end
    return holder
  end
  local f = frame.f
  if frame.forward then f = function(...) return frame.forward(frame.f, ...) end end
  local function hooked(...) return native.saved_tensors_hooks(pack, unpack_hook, f, ...) end
  local results
  if frame.original then
    results = table.pack(native.log_operators(frame.original, hooked, table.unpack(frame.arguments, 1, frame.arguments.n)))
  else
    results = table.pack(hooked(table.unpack(frame.arguments, 1, frame.arguments.n)))
  end
  frame.completed = true
  return table.unpack(results, 1, results.n)
end

--- Calls f(...), whose operators save tickets.
---@param f function
---@param options table
---@param ... any
---@return any ...
return function(f, options, ...) return run_forward(new_frame(f, options, ...)) end
