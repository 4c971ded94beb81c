-- What grad, vjp and jvp share: argnums, wrapped arguments, checks of outputs.
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local pytree = require "torch.pytree"
local vm = require "native.vm"

local arguments = {}

local function wrap_argnum(argnum, count)
  if math.type(argnum) ~= "integer" then
    vm.raise("usage", "argnums must be int or Tuple[int, ...], got: " .. vm.describe(argnum))
  end
  local index = argnum
  if index < 0 then index = index + count end
  if index < 0 or index >= count then
    vm.raise("usage", ("Got argnum=%d, but only %d positional inputs"):format(argnum, count))
  end
  return index + 1
end

--- The places of the arguments that are differentiated, from 1.
---@param argnums integer|integer[]
---@param count integer
---@return integer[]
function arguments.places(argnums, count)
  if type(argnums) ~= "table" then return {wrap_argnum(argnums, count)} end
  if #argnums == 0 then vm.raise("usage", "argnums must be non-empty") end
  local places, seen = {}, {}
  for i, argnum in ipairs(argnums) do
    places[i] = wrap_argnum(argnum, count)
    if seen[places[i]] then
      vm.raise("usage", ("argnums elements must be unique, got (%s)"):format(table.concat(argnums, ", ")))
    end
    seen[places[i]] = true
  end
  return places
end

--- Those arguments: the one itself for an integer, else a list.
---@param values table
---@param argnums integer|integer[]
---@return any
function arguments.slice(values, argnums)
  local places = arguments.places(argnums, values.n or #values)
  if type(argnums) ~= "table" then return values[places[1]] end
  local picked = {}
  for i, place in ipairs(places) do picked[i] = values[place] end
  return picked
end

--- The same structure, its tensors wrapped for a level.
function arguments.wrap(value, level)
  return pytree.map(function(leaf)
    if is_tensor(leaf) then return native.wrap_for_grad(leaf, level) end
    return leaf
  end, value)
end

--- The same structure, its tensors as they are below a level.
function arguments.unwrap(value, level)
  return pytree.map(function(leaf)
    if is_tensor(leaf) then return native.unwrap_for_grad(leaf, level) end
    if leaf == nil then return nil end
    vm.raise("usage", "Expected tensors, got unsupported type " .. vm.describe(leaf))
  end, value)
end

--- Records what is done with the tensors of a structure.
function arguments.differentiate(value)
  local leaves = pytree.flatten(value)
  for i = 1, leaves.n do
    if not is_tensor(leaves[i]) then
      vm.raise("usage", "Thing passed to transform API must be Tensor, got " .. vm.describe(leaves[i]))
    end
    native.require_grad(leaves[i])
  end
end

--- Outputs must be tensors, one at least.
function arguments.check_outputs(leaves, api)
  if leaves.n == 0 or leaves.n == 1 and leaves[1] == nil then
    vm.raise("usage", ("%s: Expected f to be a function that has non-empty output (got output = %s)"):format(api,
      leaves.n == 0 and "[]" or "[None]"))
  end
  for i = 1, leaves.n do
    if not is_tensor(leaves[i]) then
      vm.raise("usage", ("%s: expected f(*primals) to return only tensors, got unsupported type %s"):format(api,
        vm.describe(leaves[i])))
    end
  end
end

--- One result as it is, several as a tuple.
function arguments.results(count, ...)
  if count == 1 then return (...) end
  return pytree.tuple(...)
end

--- The values of a structure: several for a tuple, else itself.
function arguments.values(structure)
  local meta = type(structure) == "table" and getmetatable(structure)
  if meta and meta.__name == "tuple" then return table.unpack(structure, 1, structure.n) end
  return structure
end

--- Gradients of outputs, zeros where there are none.
---@param outputs Tensor[]
---@param inputs Tensor[]
---@param cotangents Tensor[]|nil
---@param create_graph boolean
---@param retain_graph boolean
---@return Tensor[]
function arguments.gradients(outputs, inputs, cotangents, create_graph, retain_graph)
  local torch = require "torch"
  local of, with = {}, cotangents and {}
  for i, output in ipairs(outputs) do
    if output.requires_grad then
      of[#of + 1] = output
      if with then with[#with + 1] = cotangents[i] end
    end
  end
  local grads = {}
  if #of > 0 then
    grads = native.grad(of, inputs, {grad_outputs = with, retain_graph = retain_graph, create_graph = create_graph,
      allow_unused = true})
  end
  for i, input in ipairs(inputs) do
    if grads[i] == nil then grads[i] = torch.zeros_like(input) end
  end
  return grads
end

arguments.no_saved_hooks = "torch.func.{grad, vjp, jacrev, hessian} don't yet support saved tensor hooks. " ..
  "Please open an issue with your use case."

return arguments
