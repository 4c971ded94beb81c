-- torch.func.vmap: a function of one example, applied to a batch.
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local none = require("native.tensor").None
local pytree = require "torch.pytree"
local signature = require "torch.signature"
local vm = require "native.vm"

local function is_integer(value) return math.type(value) == "integer" end

local function text(dims)
  if type(dims) ~= "table" then return tostring(dims) end
  local parts = {}
  for i, each in ipairs(dims) do parts[i] = text(each) end
  return "(" .. table.concat(parts, ", ") .. ")"
end

-- torch.None or nil is no dimension.
local function dimension(value)
  if value == none then return nil end
  return value
end

local function fail(where, message, hint) vm.raise("usage", ("vmap(%s)(<inputs>): %s"):format(where, message), hint) end

-- The dimension of each leaf that is mapped over, and how many examples there are.
local function read_dims(in_dims, leaves, spec)
  local where = "f, in_dims=" .. text(in_dims) .. ", ..."
  if in_dims ~= nil and not is_integer(in_dims) and type(in_dims) ~= "table" then
    fail(where, "expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: " ..
      vm.describe(in_dims) .. ".")
  end
  local dims = pytree.broadcast(in_dims, spec)
  if not dims then
    local _, dims_spec = pytree.flatten(in_dims)
    fail(where, ("in_dims is not compatible with the structure of `inputs`. in_dims has structure %s but inputs has " ..
      "structure %s."):format(pytree.describe(dims_spec), pytree.describe(spec)),
      type(in_dims) == "table" and "a list cannot hold nil: write torch.None for None, {in_dims = {0, torch.None}}" or nil)
  end
  local size
  local sizes, differ = {}, false
  for i = 1, leaves.n do
    local dim, leaf = dimension(dims[i]), leaves[i]
    dims[i] = dim
    if dim ~= nil then
      if not is_integer(dim) then
        fail(where, ("Got in_dim=%s for an input but in_dim must be either an integer dimension or None."):format(text(dim)))
      end
      if not is_tensor(leaf) then
        fail(where, ("Got in_dim=%d for an input but the input is of type %s. We cannot vmap over non-Tensor arguments, " ..
          "please use None as the respective in_dim"):format(dim, vm.describe(leaf)))
      end
      local ndim = leaf:dim()
      if dim < -ndim or dim >= ndim then
        fail(where, ("Got in_dim=%d for some input, but that input is a Tensor of dimensionality %d so expected in_dim " ..
          "to satisfy -%d <= in_dim < %d."):format(dim, ndim, ndim, ndim))
      end
      if dim < 0 then dims[i] = dim + ndim end
      sizes[#sizes + 1] = leaf:size(dims[i])
      size = size or sizes[#sizes]
      differ = differ or sizes[#sizes] ~= size
    end
  end
  if not size then vm.raise("usage", "vmap: Expected at least one Tensor to vmap over") end
  if differ then
    vm.raise("shape", ("vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [%s] for " ..
      "the mapped dimension"):format(table.concat(sizes, ", ")))
  end
  return dims, size
end

-- One result, or several as a tuple: a structure.
local function structure(count, ...)
  if count == 1 then return (...) end
  return pytree.tuple(...)
end

local function run(f, randomness, out_dims, leaves, spec, dims, size)
  local _ <close>, level = native.vmap_layer(size, randomness)
  local batched = {}
  for i = 1, leaves.n do
    batched[i] = dims[i] and native.add_batch_dim(leaves[i], dims[i], level) or leaves[i]
  end
  local arguments = pytree.unflatten(batched, spec)
  local results = table.pack(native.call(f, table.unpack(arguments, 1, arguments.n)))
  local outputs, outputs_spec = pytree.flatten(structure(results.n, table.unpack(results, 1, results.n)))
  local out = out_dims
  if is_tensor(results[1]) and results.n == 1 and type(out) == "table" and #out == 1 then out = out[1] end
  local places = pytree.broadcast(out, outputs_spec)
  if not places then
    local _, places_spec = pytree.flatten(out_dims)
    fail("f, ..., out_dims=" .. text(out_dims), ("out_dims is not compatible with the structure of `outputs`. out_dims " ..
      "has structure %s but outputs has structure %s."):format(pytree.describe(places_spec), pytree.describe(outputs_spec)))
  end
  for i = 1, outputs.n do
    local output, place = outputs[i], dimension(places[i])
    if place == nil then
      if is_tensor(output) and native.is_batched(output) and select(2, native.unwrap_batched(output, level)) then
        vm.raise("usage", "vmap(f, ...): `f` can not return a BatchedTensor when out_dim is None")
      end
    elseif not is_tensor(output) then
      vm.raise("usage", ("vmap(f, ...): `f` must only return Tensors, got type %s. Did you mean to set out_dims= to " ..
        "None for output?"):format(vm.describe(output)))
    else
      outputs[i] = native.remove_batch_dim(output, level, size, place)
    end
  end
  return outputs, outputs_spec, places
end

local function finish(outputs, spec)
  local result = pytree.unflatten(outputs, spec)
  if spec.tuple then return table.unpack(result, 1, spec.size) end
  return result
end

-- One chunk after the other; the results are joined.
local function run_chunked(f, randomness, out_dims, leaves, spec, dims, size, chunk_size)
  local torch = require "torch"
  local state = randomness == "same" and torch.get_rng_state()
  local chunks, outputs_spec, places = {}, nil, nil
  for first = 0, size - 1, chunk_size do
    local count = math.min(chunk_size, size - first)
    local part = {n = leaves.n}
    for i = 1, leaves.n do part[i] = dims[i] and leaves[i]:narrow(dims[i], first, count) or leaves[i] end
    if state then torch.set_rng_state(state) end
    chunks[#chunks + 1], outputs_spec, places = run(f, randomness, out_dims, part, spec, dims, count)
  end
  local joined = {}
  for i = 1, chunks[1].n do
    local parts = {}
    for k, chunk in ipairs(chunks) do parts[k] = chunk[i] end
    joined[i] = dimension(places[i]) and torch.cat(parts, dimension(places[i])) or parts[1]
  end
  return finish(joined, outputs_spec)
end

local function check_out_dims(out_dims)
  local leaves = pytree.flatten(out_dims)
  for i = 1, leaves.n do
    local dim = dimension(leaves[i])
    if dim ~= nil and not is_integer(dim) then
      vm.raise("usage", ("vmap(f, ..., out_dims=%s): `out_dims` must be an int, None or a python collection of ints " ..
        "representing where in the outputs the vmapped dimension should appear."):format(text(out_dims)))
    end
  end
end

local parse = signature("vmap", "func, in_dims=0, out_dims=0, randomness='error', chunk_size=nil")

--- A function that maps `func` over a dimension of its arguments, without a loop.
---@param func function
---@param in_dims? integer|table 0; the dimension of each argument, torch.None for one that is not mapped over
---@param out_dims? integer|table 0; where the dimension goes in the outputs
---@param randomness? string "error"; "same" or "different" random numbers for the examples
---@param chunk_size? integer at most so many examples at once, all
---@return function
---@example torch.func.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))  --> tensor([3., 3.])
local function vmap(...)
  local f, in_dims, out_dims, randomness, chunk_size = parse(...)
  if randomness ~= "error" and randomness ~= "different" and randomness ~= "same" then
    vm.raise("usage", ("Only allowed values for randomness are 'error', 'different', or 'same'. Got %s"):format(
      tostring(randomness)))
  end
  if chunk_size ~= nil and not (is_integer(chunk_size) and chunk_size > 0) then
    vm.raise("usage", ("vmap: chunk_size should be None or greater than 0. (got %s)"):format(tostring(chunk_size)))
  end
  if is_tensor(f) or type(f) == "number" or type(f) == "string" or f == nil then
    vm.raise("usage", "vmap: argument 'func' must be a function, got " .. vm.describe(f))
  end
  return function(...)
    check_out_dims(out_dims)
    if select("#", ...) == 0 then
      vm.raise("usage", "vmap(f)(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over " ..
        "a function with no inputs. The latter is unsupported.")
    end
    local leaves, spec = pytree.flatten(pytree.tuple(...))
    local dims, size = read_dims(in_dims, leaves, spec)
    if chunk_size and size > chunk_size then
      return run_chunked(f, randomness, out_dims, leaves, spec, dims, size, chunk_size)
    end
    local outputs, outputs_spec = run(f, randomness, out_dims, leaves, spec, dims, size)
    return finish(outputs, outputs_spec)
  end
end

return {vmap = vmap}
