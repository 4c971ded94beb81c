-- torch.autograd.graph: hooks on saved tensors and on several gradients, edges of the graph.
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.autograd"
local vm = require "native.vm"

local graph = {}

--- Until the scope ends, or in fn(...), operators save pack_hook(tensor) in place of a tensor, and their backward gets
--- unpack_hook of it.
---@param pack_hook fun(tensor: Tensor): any
---@param unpack_hook fun(packed: any): Tensor
---@param fn? function
---@return any|scope
---@example local x = torch.tensor({3.}, {requires_grad = true})
--- local function same(t) return t end
--- local y
--- do local _ <close> = torch.autograd.graph.saved_tensors_hooks(same, same) y = x * x end
--- y:sum():backward()
--- x.grad  --> tensor([6.])
graph.saved_tensors_hooks = mode("torch.autograd.graph.saved_tensors_hooks", "pack_hook, unpack_hook",
  native.saved_tensors_hooks)

--- Until the scope ends, or in fn(...), saved tensors wait in the CPU's memory.
---@param pin_memory? boolean false; pinned memory, copied without waiting
---@param device_type? string "cuda"; the memory is pinned for it
---@param fn? function
---@return any|scope
---@example local x = torch.tensor({3.}, {requires_grad = true})
--- local y
--- do local _ <close> = torch.autograd.graph.save_on_cpu() y = x * x end
--- y:sum():backward()
--- x.grad  --> tensor([6.])
graph.save_on_cpu = mode("torch.autograd.graph.save_on_cpu", "pin_memory=false, device_type='cuda'", function(pin_memory, of)
  local torch = require "torch"
  local function pack(tensor)
    if not pin_memory then return {tensor.device, tensor:cpu()} end
    local pinned = torch[of].is_available() and not tensor.is_sparse
    local packed = torch.empty(tensor:size(), {dtype = tensor.dtype, layout = tensor.layout, pin_memory = pinned})
    packed:copy_(tensor, pinned)
    return {tensor.device, packed}
  end
  local function unpack(packed) return packed[2]:to(packed[1], {non_blocking = pin_memory or false}) end
  return native.saved_tensors_hooks(pack, unpack)
end)

--- Until the scope ends, or in fn(...), saved_tensors_hooks is an error.
---@param error_message string
---@param fn? function
---@return any|scope
---@example local graph = torch.autograd.graph
--- local function same(t) return t end
--- local _ <close> = graph.disable_saved_tensors_hooks("not here")
--- select(2, pcall(graph.saved_tensors_hooks, same, same)).message  --> not here
graph.disable_saved_tensors_hooks = mode("torch.autograd.graph.disable_saved_tensors_hooks", "error_message",
  native.disable_saved_tensors_hooks)

--- Until the scope ends, or in fn(...), a tensor that was saved for a backward is copied before it is changed in place:
--- the backward, which must run inside too, uses the copy instead of raising an error.
---@param fn? function
---@return any|scope
---@example local x = torch.tensor({3.}, {requires_grad = true})
--- torch.autograd.graph.allow_mutation_on_saved_tensors(function()
---   local y = x * 1
---   local z = y * y
---   y:zero_()
---   z:sum():backward()
--- end)
--- x.grad  --> tensor([6.])
graph.allow_mutation_on_saved_tensors = mode("torch.autograd.graph.allow_mutation_on_saved_tensors", "",
  native.allow_mutation_on_saved_tensors)

local GradientEdge = {__name = "GradientEdge"}
function GradientEdge:__tostring()
  return ("GradientEdge(node=%s, output_nr=%d)"):format(tostring(self.node), self.output_nr)
end

--- A place in the graph, for `inputs` and `outputs` of torch.autograd.grad and backward.
---@param node Node
---@param output_nr integer
---@return GradientEdge edge {node =, output_nr =}
---@example local y = torch.ones(2, {requires_grad = true}) * 2
--- torch.autograd.graph.GradientEdge(y.grad_fn, 0).output_nr  --> 0
graph.GradientEdge = named("torch.autograd.graph.GradientEdge", "node, output_nr", function(node, output_nr)
  return native.check_edge(setmetatable({node = node, output_nr = output_nr}, GradientEdge))
end)

--- Where the gradient of a tensor goes: torch.autograd.grad(loss, edge) is torch.autograd.grad(loss, tensor).
---@param tensor Tensor
---@return GradientEdge edge {node =, output_nr =}
---@example local x = torch.tensor({3.}, {requires_grad = true})
--- local edge = torch.autograd.graph.get_gradient_edge(x)
--- torch.autograd.grad((x * x):sum(), edge)[1]  --> tensor([6.])
graph.get_gradient_edge = named("torch.autograd.graph.get_gradient_edge", "tensor", function(tensor)
  return graph.GradientEdge(native.gradient_edge(tensor))
end)

local Handles = {__name = "RemovableHandle"}
Handles.__index = Handles
--- Takes all of the hooks away.
function Handles:remove()
  for _, handle in ipairs(self) do handle:remove() end
end
Handles.__close = Handles.remove

-- fn(grads) once all tensors that this backward reaches have their gradient.
local function all_hooks(tensors, fn)
  local none = require("native.tensor").None
  local nodes, runs, handles = {}, {}, {}
  for i, tensor in ipairs(tensors) do nodes[i] = native.gradient_edge(tensor) end
  for i, tensor in ipairs(tensors) do
    handles[i] = tensor:register_hook(function(grad)
      local id = native.graph_task_id()
      local run = runs[id]
      if not run then
        run = {left = 0, grads = {}}
        for k, node in ipairs(nodes) do
          run.grads[k] = none
          if native.will_execute(node) then run.left = run.left + 1 end
        end
        runs[id] = run
      end
      run.grads[i], run.left = grad, run.left - 1
      if run.left == 0 then
        runs[id] = nil
        fn(run.grads)
      end
    end)
  end
  return handles
end

local function any_hooks(tensors, fn)
  local last
  local handles = {}
  for _, tensor in ipairs(tensors) do
    if tensor.requires_grad then
      handles[#handles + 1] = tensor:register_hook(function(grad)
        local id = native.graph_task_id()
        if id == last then return end
        last = id
        fn(grad)
      end)
    end
  end
  return handles
end

--- fn(grads) when all gradients of the tensors that a backward computes are there (torch.None for the others), or, with
--- mode = "any", fn(grad) at the first of them.
---@param tensors Tensor[]
---@param fn function
---@param mode? string "all" or "any", by name alone
---@return RemovableHandle
---@example local a, b = torch.ones(1, {requires_grad = true}), torch.ones(1, {requires_grad = true})
--- local seen
--- torch.autograd.graph.register_multi_grad_hook({a, b}, function(grads) seen = grads end)
--- local y = 2 * a + 3 * b
--- y:backward()
--- seen  --> {tensor([2.]), tensor([3.])}
graph.register_multi_grad_hook = named("register_multi_grad_hook", "tensors, fn, *, mode='all'", function(tensors, fn, when)
  if when ~= "all" and when ~= "any" then
    vm.raise("usage", ("Expects mode to be one of ('all', 'any') but got %s"):format(tostring(when)))
  end
  if type(fn) ~= "function" then
    vm.raise("usage", "register_multi_grad_hook: argument 'fn' must be a function, got " .. vm.describe(fn))
  end
  return setmetatable((when == "all" and all_hooks or any_hooks)(tensors, fn), Handles)
end)

--- Counts a change in place that LibTorch did not see.
---@param tensor Tensor|Tensor[]
---@example local x = torch.ones(1)
--- torch.autograd.graph.increment_version(x)
--- x._version  --> 1
graph.increment_version = named("torch.autograd.graph.increment_version", "tensor", function(tensor)
  for _, each in ipairs(type(tensor) == "table" and tensor or {tensor}) do native.increment_version(each) end
end)

return require("host.namespace")("torch.autograd.graph", {held = graph})
