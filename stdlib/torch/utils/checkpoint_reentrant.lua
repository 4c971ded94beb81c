-- The older checkpoint: a Function whose backward runs the function again and a backward inside it.
local autograd = require "torch.autograd"
local is_tensor = require("native.tensor").is_tensor
local log = require "native.log"
local native = require "native.autograd"
local none = require("native.tensor").None
local state = require "torch.utils.checkpoint_state"
local vm = require "native.vm"

local Checkpoint = autograd.Function("CheckpointFunction")

function Checkpoint.forward(ctx, f, preserve, ...)
  ctx.f = f
  ctx.state = state.read(preserve, ...)
  local others, tensors, any = table.pack(...), {}, false
  for i = 1, others.n do
    if is_tensor(others[i]) then
      any = any or others[i].requires_grad
      tensors[#tensors + 1], others[i] = others[i], none
    end
  end
  if not any then
    log.warn("torch.utils.checkpoint: None of the inputs have requires_grad=True. Gradients will be None")
  end
  ctx.others, ctx.tensors = others, tensors
  ctx:save_for_backward(table.unpack(tensors))
  ctx.tensors = nil
  return f(...)
end

local function inputs_of(ctx)
  local saved, inputs, next_saved = ctx.saved_tensors, {n = ctx.others.n}, 0
  for i = 1, inputs.n do
    inputs[i] = ctx.others[i]
    if inputs[i] == none then
      next_saved = next_saved + 1
      local tensor = saved[next_saved]
      inputs[i] = tensor:detach():requires_grad_(tensor.requires_grad)
    end
  end
  return inputs
end

local function run_again(ctx, inputs)
  return table.pack(state.under(ctx.state, native.enable_grad, ctx.f, table.unpack(inputs, 1, inputs.n)))
end

function Checkpoint.backward(ctx, ...)
  if not native.is_checkpoint_valid() then
    vm.raise("usage", "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an " ..
      "`inputs` parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call " ..
      ".backward() without passing the `inputs` argument.")
  end
  local inputs = inputs_of(ctx)
  local outputs = run_again(ctx, inputs)
  local grads, of, with = {...}, {}, {}
  for i = 1, outputs.n do
    if is_tensor(outputs[i]) and outputs[i].requires_grad then
      of[#of + 1] = outputs[i]
      with[#of] = grads[i] or none
    end
  end
  if #of == 0 then
    vm.raise("usage", "none of output has requires_grad=True, this checkpoint() is not necessary")
  end
  native.backward(of, with)
  local results = {n = inputs.n + 2}
  for i = 1, inputs.n do
    if is_tensor(inputs[i]) then results[i + 2] = inputs[i].grad end
  end
  return table.unpack(results, 1, results.n)
end

return {apply = Checkpoint.apply}
