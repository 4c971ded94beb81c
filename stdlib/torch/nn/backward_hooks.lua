-- Backward hooks of one call of a module: nodes around its forward through which the gradients pass.
local Function = require("torch.autograd.function").Function
local autograd = require "native.autograd"
local is_tensor = require("native.tensor").is_tensor
local python_type = require "torch.nn.python_type"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local unpack <const>, None <const> = table.unpack, torch.None

-- What gives its arguments as they are, as a node of the graph.
local Identity = Function("BackwardHookFunction")

function Identity.forward(ctx, ...)
  local constant = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if not value.requires_grad then constant[#constant + 1] = value end
  end
  ctx:mark_non_differentiable(unpack(constant))
  return ...
end

function Identity.backward(_, ...) return ... end

-- The values with their tensors passed through a node, and where these are; nil if none requires a gradient.
local function pass(values, hook)
  local places, tensors, requires = {}, {}, false
  for i = 1, values.n do
    local value = values[i]
    if is_tensor(value) then
      places[#places + 1], tensors[#tensors + 1] = i, value
      requires = requires or value.requires_grad
    end
  end
  if not requires or not autograd.is_grad_enabled() then return values end
  local fresh = table.move(values, 1, values.n, 1, {n = values.n})
  local passed, node = {Identity.apply(unpack(tensors))}, nil
  for k, place in ipairs(places) do
    fresh[place] = passed[k]
    local of = passed[k].grad_fn
    node = node or (of ~= nil and of:name() == "BackwardHookFunctionBackward" and of) or nil
  end
  node:register_hook(hook)
  return fresh, places
end

-- Gradients at the places of their tensors, None at those of other values.
local function spread(places, gradients, count)
  local list = {}
  for i = 1, count do list[i] = None end
  for k, place in ipairs(places or {}) do
    if gradients[k] ~= nil then list[place] = gradients[k] end
  end
  return list
end

local function gather(places, list)
  local gradients = {}
  for k, place in ipairs(places) do
    local value = list[place]
    if value == nil then value = None end
    gradients[k] = value
  end
  return gradients
end

-- What a hook returned as a list of `count`; nil for no change.
local function returned(count, what, first, ...)
  if first == nil and select("#", ...) == 0 then return nil end
  local list = first
  if select("#", ...) > 0 then list = table.pack(first, ...)
  elseif type(first) ~= "table" then list = {first} end
  local given = list.n or #list
  if given ~= count then
    vm.raise("usage", ("%s, got %d, but expected %d"):format(what, given, count))
  end
  for i = 1, count do
    local value = list[i]
    if value ~= nil and value ~= None and not is_tensor(value) then
      vm.raise("usage", "expected Variable, but hook returned '" .. python_type.name(value) .. "'")
    end
  end
  return list
end

-- What hooks gave in place of gradients must be of their kind. Found here, it is the user's line that the error names.
local function check_kinds(places, list, gradients)
  for k, place in ipairs(places) do
    local now, was = list[place], gradients[k]
    if is_tensor(now) and is_tensor(was) then
      if now.dtype ~= was.dtype or now.device.type ~= was.device.type or now.layout ~= was.layout then
        vm.raise("dtype", ("hook 'hook' has changed the type of value (was %s got %s)"):format(was:type(), now:type()))
      end
      if now.shape ~= was.shape then vm.raise("shape", "hook 'hook' has changed the size of value") end
    end
  end
end

-- All hooks of one kind: those of all modules, then the module's.
local function both(first, second)
  local all = table.move(first or {}, 1, #(first or {}), 1, {})
  return table.move(second or {}, 1, #(second or {}), #all + 1, all)
end

local FIRES_BY_OUTPUTS <const> = "Full backward hook is firing when gradients are computed with respect to module outputs "
  .. "since no inputs require gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
  .. "#torch.nn.Module.register_full_backward_hook for more details."

-- Full hooks and pre-hooks: a node before forward, one after it.
local function full(module, hooks, pre_hooks)
  local grad_outputs, output_places, input_places, input_count

  local function on_inputs(grad_input)
    if not grad_outputs then return nil end  -- the gradient did not come by the outputs: a second derivative
    local list = spread(input_places, grad_input, input_count)
    for _, entry in ipairs(hooks) do
      list = returned(input_count, "Backward hook returned an invalid number of grad_input",
        entry.call(module, list, grad_outputs)) or list
    end
    grad_outputs = nil
    check_kinds(input_places, list, grad_input)
    return gather(input_places, list)
  end

  local function without_inputs()
    warn(FIRES_BY_OUTPUTS)
    local list = spread(nil, nil, input_count)
    for _, entry in ipairs(hooks) do
      local result = entry.call(module, list, grad_outputs)
      for _, value in ipairs(type(result) == "table" and result or {result}) do
        if value ~= None then
          vm.raise("usage", "Backward hook for Modules where no input requires gradient should always return None or None "
            .. "for all gradients.")
        end
      end
    end
    grad_outputs = nil
  end

  local scope = {}

  function scope.inputs(args)
    input_count = args.n
    args, input_places = pass(args, on_inputs)
    return args
  end

  function scope.outputs(outputs)
    if outputs.n == 1 and not is_tensor(outputs[1]) then
      warn("For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
        .. python_type.class(outputs[1]))
    end
    local count = outputs.n
    outputs, output_places = pass(outputs, function(_, grad_output)
      grad_outputs = spread(output_places, grad_output, count)
      for _, entry in ipairs(pre_hooks) do
        grad_outputs = returned(count, "Backward pre hook returned an invalid number of grad_output",
          entry.call(module, grad_outputs)) or grad_outputs
      end
      local now = grad_outputs
      check_kinds(output_places, now, grad_output)
      if not input_places then without_inputs() end
      return gather(output_places, now)
    end)
    return outputs
  end

  return scope
end

-- The old kind: hooks of the operator that gave the (first) output.
local function old(module, hooks, args, outputs)
  local first = outputs[1]
  while type(first) == "table" do
    local key, value = next(first)
    first = first[1] or (key ~= nil and value) or nil
  end
  local node = is_tensor(first) and first.grad_fn or nil
  if not node then return end
  for _, entry in ipairs(hooks) do
    node:register_hook(function(grad_input, grad_output) return entry.call(module, grad_input, grad_output) end)
  end
  require("torch.nn.old_backward_hooks")(args, outputs, node)
end

--- What the call of a module with backward hooks does around its forward: `inputs(args)`, `outputs(args, outputs)`.
return function(module, every, fields)
  local is_full, is_old = {}, {}
  for _, lists in ipairs {every, fields} do
    local list = lists._backward_hooks or {}
    local into = lists._is_full_backward_hook and is_full or is_old
    table.move(list, 1, #list, #into + 1, into)
  end
  local pre_hooks = both(every._backward_pre_hooks, fields._backward_pre_hooks)
  local scope = (#is_full > 0 or #pre_hooks > 0) and full(module, is_full, pre_hooks) or nil
  return {
    inputs = function(args) return scope and scope.inputs(args) or args end,
    outputs = function(args, outputs)
      if scope then outputs = scope.outputs(outputs) end
      if #is_old > 0 then old(module, is_old, args, outputs) end
      return outputs
    end,
  }
end
