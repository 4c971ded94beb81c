-- torch.func.jacrev, jacfwd, hessian, hvp: whole matrices of derivatives, a row or a column for each vmapped pass.
local arguments = require "torch.func.arguments"
local blocks_of = require "torch.func.blocks"
local is_tensor = require("native.tensor").is_tensor
local jvp_of = require("torch.func.jvp").jvp_of
local pytree = require "torch.pytree"
local signature = require "torch.signature"
local vjp_of = require("torch.func.grad").vjp_of
local vm = require "native.vm"
local vmap = require("torch.func.vmap").vmap

local joined <const>, numels <const> = blocks_of.joined, blocks_of.numels
local transforms = {}

local function refuse_complex(api, leaves, what)
  for i = 1, leaves.n do
    if is_tensor(leaves[i]) and leaves[i].dtype.is_complex then
      vm.raise("dtype", ("%s: Expected all %s to be real but received complex tensor at flattened input idx: %d"):format(
        api, what, i - 1))
    end
  end
end

-- The unit vectors of all leaves together, `count` from `first` on (0-based): for each leaf a [count, ...] tensor.
local function basis(leaves, first, count)
  local torch = require "torch"
  local vectors, from = {}, 0
  for i, leaf in ipairs(leaves) do
    local numel = leaf:numel()
    local block = torch.zeros({count, numel}, {dtype = leaf.dtype, device = leaf.device})
    local low, high = math.max(first, from), math.min(first + count, from + numel)
    if low < high then
      block:narrow(0, low - first, high - low):narrow(1, low - from, high - low):diagonal():fill_(1)
    end
    local shape = {count}
    for _, size in ipairs(leaf.shape) do shape[#shape + 1] = size end
    vectors[i] = block:view(shape)
    from = from + numel
  end
  return vectors, from
end

-- blocks[output][input] in the structure of the outputs, each in that of the inputs.
local function assemble(blocks, outputs_spec, inputs_spec)
  local per_output = {}
  for i, row in ipairs(blocks) do per_output[i] = pytree.unflatten(row, inputs_spec) end
  return pytree.unflatten(per_output, outputs_spec)
end

local parse_jacrev = signature("torch.func.jacrev", "func, argnums=0, has_aux=false, chunk_size=nil")

--- A function that gives the Jacobian of `func` in reverse mode: output shape and then input shape.
---@param func function
---@param argnums? integer|integer[] 0; a list gives a list of Jacobians
---@param has_aux? boolean false
---@param chunk_size? integer so many rows at once, all
---@return function
---@example torch.func.jacrev(function(x) return x ^ 2 end)(torch.tensor{1., 2.}):diagonal()  --> tensor([2., 4.])
function transforms.jacrev(...)
  local f, argnums, has_aux, chunk_size = parse_jacrev(...)
  if chunk_size ~= nil and chunk_size <= 0 then
    vm.raise("usage", "jacrev: `chunk_size` should be greater than 0.")
  end
  return function(...)
    local torch = require "torch"
    local given = pytree.tuple(...)
    refuse_complex("jacrev", (pytree.flatten(given)), "inputs")
    local output, pull_back, aux = vjp_of(f, argnums, has_aux, ...)
    local outputs, outputs_spec = pytree.flatten(output)
    refuse_complex("jacrev", outputs, "outputs")
    local inputs, inputs_spec = pytree.flatten(arguments.slice(given, argnums))
    local sizes, total = numels(outputs)
    local chunks = {}
    for first = 0, math.max(total - 1, 0), chunk_size or math.max(total, 1) do
      local count = math.min(chunk_size or total, total - first)
      local cotangents = pytree.unflatten(basis(outputs, first, count), outputs_spec)
      chunks[#chunks + 1] = pytree.flatten(vmap(pull_back)(cotangents))
    end
    local blocks = {}
    for i = 1, outputs.n do blocks[i] = {} end
    for k = 1, inputs.n do
      local parts = {}
      for i, chunk in ipairs(chunks) do parts[i] = chunk[k] end
      local rows = #parts == 1 and parts[1] or torch.cat(parts, 0)
      for i, split in ipairs(rows:split(sizes, 0)) do
        blocks[i][k] = split:view(joined(outputs[i].shape, inputs[k].shape))
      end
    end
    local jacobian = assemble(blocks, outputs_spec, inputs_spec)
    if has_aux then return jacobian, aux end
    return arguments.values(jacobian)
  end
end

local parse_jacfwd = signature("torch.func.jacfwd", "func, argnums=0, has_aux=false, randomness='error'")

--- The same in forward mode: quicker where there are fewer inputs than outputs.
---@param func function
---@param argnums? integer|integer[] 0
---@param has_aux? boolean false
---@param randomness? string "error"
---@return function
---@example torch.func.jacfwd(function(x) return x ^ 2 end)(torch.tensor{1., 2.}):diagonal()  --> tensor([2., 4.])
function transforms.jacfwd(...)
  local f, argnums, has_aux, randomness = parse_jacfwd(...)
  return function(...)
    local given = pytree.tuple(...)
    refuse_complex("jacfwd", (pytree.flatten(given)), "inputs")
    local inputs, inputs_spec = pytree.flatten(arguments.slice(given, argnums))
    local sizes, total = numels(inputs)
    local outputs_spec
    local function push(directions)
      local output, slopes, aux = jvp_of(f, given, directions, argnums, false, has_aux)
      refuse_complex("jacfwd", (pytree.flatten(output)), "outputs")
      local flat
      flat, outputs_spec = pytree.flatten(slopes)
      if has_aux then return {table.unpack(flat, 1, flat.n)}, aux end
      return {table.unpack(flat, 1, flat.n)}
    end
    local slopes, aux = vmap(push, {randomness = randomness})(pytree.unflatten((basis(inputs, 0, total)), inputs_spec))
    local blocks = {}
    for i, slope in ipairs(slopes) do
      blocks[i] = {}
      local columns = slope:movedim(0, -1)
      local shape = {}
      for d = 1, columns:dim() - 1 do shape[d] = columns.shape[d] end
      for k, split in ipairs(columns:split(sizes, -1)) do
        blocks[i][k] = split:reshape(joined(shape, inputs[k].shape))
      end
    end
    local jacobian = assemble(blocks, outputs_spec, inputs_spec)
    if has_aux then return jacobian, pytree.map(function(value) return value[0] end, aux) end
    return arguments.values(jacobian)
  end
end

local parse_hessian = signature("torch.func.hessian", "func, argnums=0")

--- A function that gives the second derivatives of `func`: jacfwd of jacrev.
---@param func function
---@param argnums? integer|integer[] 0
---@return function
---@example torch.func.hessian(function(x) return (x ^ 3):sum() end)(torch.tensor{1., 2.}):diagonal()
--- --> tensor([ 6., 12.])
function transforms.hessian(...)
  local f, argnums = parse_hessian(...)
  return transforms.jacfwd(transforms.jacrev(f, argnums), argnums)
end

--- The output of func(primals...), one number, and its Hessian times the tangents: forward over reverse, without the
--- matrix. (torch.autograd.functional.hvp is PyTorch's own.)
---@param func function
---@param primals any[]
---@param tangents any[] of the same structure
---@return any value
---@return any product of the structure of primals; the tensor itself where there is one
---@example torch.func.hvp(function(x) return (x ^ 3):sum() end, {torch.tensor{2.}}, {torch.ones(1)})
--- --> tensor(8.)	tensor([12.])
function transforms.hvp(func, primals, tangents)
  local grad_and_value = require("torch.func.grad").grad_and_value
  local all = {}
  for i = 1, #primals do all[i] = i - 1 end
  local value
  local function gradient(...)
    local grads, output = grad_and_value(func, all)(...)
    value = output
    return grads, output
  end
  local _, slopes, aux = jvp_of(gradient, primals, tangents, nil, false, true)
  value = aux
  if #primals == 1 then return value, slopes[1] end
  return value, slopes
end

return transforms
