-- Nested tables of tensors as a flat list and back: what torch.func and torch.autograd mean by structure. A plain table
-- is a list (keys 1..n) or a map of names (in sorted or insertion order); everything else is one leaf.
local ordered = require "host.ordered"
local vm = require "native.vm"

local pytree = {}

local LEAF <const> = {count = 1}

-- A list of values whose length is kept where some are nil.
local Tuple = {__name = "tuple"}

--- Several values as one list, nil among them.
---@param ... any
---@return table with the count in `n`
function pytree.tuple(...) return setmetatable(table.pack(...), Tuple) end

local function is_node(value)
  if type(value) ~= "table" then return false end
  local meta = getmetatable(value)
  return meta == nil or meta == Tuple or ordered.is(value)
end

-- Beyond this a table contains itself.
local DEEPEST <const> = 1000

local function flatten(value, leaves, depth)
  if not is_node(value) then
    leaves.n = leaves.n + 1
    leaves[leaves.n] = value
    return LEAF
  end
  if depth > DEEPEST then
    vm.raise("usage", ("tables nested more than %d deep (a table that contains itself?)"):format(DEEPEST))
  end
  depth = depth + 1
  local spec, from = {specs = {}}, leaves.n
  local tuple = getmetatable(value) == Tuple
  local size = tuple and value.n or #value
  if size > 0 or next(value) == nil or tuple then
    spec.size, spec.tuple = size, tuple
    for i = 1, size do spec.specs[i] = flatten(value[i], leaves, depth) end
  else
    spec.keys, spec.ordered = ordered.keys(value), ordered.is(value)
    for i, key in ipairs(spec.keys) do spec.specs[i] = flatten(value[key], leaves, depth) end
  end
  spec.count = leaves.n - from
  return spec
end

--- The leaves in order, and the structure.
---@param value any
---@return table leaves with the count in `n`
---@return table spec
function pytree.flatten(value)
  local leaves = {n = 0}
  return leaves, flatten(value, leaves, 1)
end

local function unflatten(leaves, spec, from)
  if spec == LEAF then return leaves[from] end
  local value
  if spec.keys then
    value = spec.ordered and ordered.new() or {}
    for i, key in ipairs(spec.keys) do
      value[key] = unflatten(leaves, spec.specs[i], from)
      from = from + spec.specs[i].count
    end
    return value
  end
  value = spec.tuple and setmetatable({n = spec.size}, Tuple) or {}
  for i = 1, spec.size do
    value[i] = unflatten(leaves, spec.specs[i], from)
    from = from + spec.specs[i].count
  end
  return value
end

--- The structure filled with leaves.
---@param leaves any[]
---@param spec table
---@return any
function pytree.unflatten(leaves, spec) return unflatten(leaves, spec, 1) end

--- f of every leaf, in the same structure.
---@param f fun(leaf: any): any
---@param value any
---@return any
function pytree.map(f, value)
  local leaves, spec = pytree.flatten(value)
  local mapped = {}
  for i = 1, leaves.n do mapped[i] = f(leaves[i]) end
  return unflatten(mapped, spec, 1)
end

--- Are they the same structure?
---@param a table a spec
---@param b table
---@return boolean
function pytree.same(a, b)
  if a == LEAF or b == LEAF then return a == b end
  if a.size ~= b.size or (a.keys == nil) ~= (b.keys == nil) or #a.specs ~= #b.specs then return false end
  for i, spec in ipairs(a.specs) do
    if not pytree.same(spec, b.specs[i]) or (a.keys and a.keys[i] ~= b.keys[i]) then return false end
  end
  return true
end

local function broadcast(value, spec, out)
  if not is_node(value) then
    for _ = 1, spec.count do
      out.n = out.n + 1
      out[out.n] = value
    end
    return true
  end
  if spec == LEAF then return false end
  local size = getmetatable(value) == Tuple and value.n or #value
  if spec.keys then
    for i, key in ipairs(spec.keys) do
      if value[key] == nil or not broadcast(value[key], spec.specs[i], out) then return false end
    end
    return #ordered.keys(value) == #spec.keys
  end
  if size ~= spec.size then return false end
  for i = 1, size do
    if not broadcast(value[i], spec.specs[i], out) then return false end
  end
  return true
end

--- One value a leaf of `spec`, from a structure that may end above it: 0 for all, {0, 1} for two arguments.
---@param value any
---@param spec table
---@return any[]? with the count in `n`; nil if the structures differ
function pytree.broadcast(value, spec)
  local out = {n = 0}
  return broadcast(value, spec, out) and out or nil
end

--- A structure as text: (*, {a: *}).
---@param spec table
---@return string
function pytree.describe(spec)
  if spec == LEAF then return "*" end
  local parts = {}
  for i, each in ipairs(spec.specs) do
    parts[i] = (spec.keys and tostring(spec.keys[i]) .. ": " or "") .. pytree.describe(each)
  end
  return (spec.keys and "{%s}" or "(%s)"):format(table.concat(parts, ", "))
end

return pytree
