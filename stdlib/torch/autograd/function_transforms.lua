-- A Function under torch.func: one layer (vmap, grad, jvp) is dealt with here, the rest one level below.
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local none = require("native.tensor").None
local vm = require "native.vm"

local transforms = {}

local MORE <const> = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"

-- f of each tensor of a list of `n` values.
local function map(values, f)
  local mapped = {n = values.n}
  for i = 1, values.n do mapped[i] = is_tensor(values[i]) and f(values[i], i) or values[i] end
  return mapped
end

-- One value, or a list of them, as a list with its length.
local function list_of(value)
  if type(value) == "table" and getmetatable(value) == nil then
    return table.move(value, 1, #value, 1, {n = #value})
  end
  return {n = 1, value}
end

-- --- grad and jvp: the arguments are wrapped tensors, forward runs on what they wrap.

local function apply_differentiated(class, level, ...)
  local single = {setup_context = class.setup_context, backward = class.backward, vjp = class.vjp, jvp = class.jvp}
  function single.forward(...)
    local given = table.pack(...)
    local below = map(given, function(x) return native.unwrap_for_grad(x, level) end)
    local results
    do
      local _ <close> = native.lower()
      local _ <close> = native.enable_grad()
      results = table.pack(class.apply(table.unpack(below, 1, below.n)))
    end
    local outputs = map(results, function(x)
      for i = 1, below.n do
        if is_tensor(below[i]) and below[i] == x then return given[i] end
      end
      return native.wrap_for_grad(x, level)
    end)
    return table.unpack(outputs, 1, outputs.n)
  end
  local before = native.set_forward_grad_enabled(true)
  local _ <close> = setmetatable({}, {__close = function() native.set_forward_grad_enabled(before) end})
  return native.apply(single, class.__name .. "Backward", ...)
end

-- --- vmap

local function unwrap_all(values, level)
  local dims, any = {n = values.n}, false
  local below = map(values, function(x, i)
    local value, dim = native.unwrap_batched(x, level)
    dims[i] = dim
    any = any or dim ~= nil
    return value
  end)
  return below, dims, any
end

local function wrap_all(values, dims, level)
  return map(values, function(x, i)
    local dim = dims[i]
    if dim == nil or dim == none then return x end
    return native.add_batch_dim(x, dim, level)
  end)
end

-- f on examples of a batch; the results as they are below, and their dimensions.
local function mapped(f, values, dims, size, randomness)
  local _ <close>, level = native.vmap_layer(size, randomness)
  local wrapped = wrap_all(values, dims, level)
  local results = table.pack(f(table.unpack(wrapped, 1, wrapped.n)))
  return unwrap_all(results, level)
end

-- A ctx whose tensors are below the vmap while the user's functions run inside it.
local function inner_context(ctx, level, saved)
  local proxy = {}
  function proxy.save_for_backward(_, ...)
    local below, dims = unwrap_all(table.pack(...), level)
    rawset(proxy, "dims", dims)
    ctx:save_for_backward(table.unpack(below, 1, below.n))
  end
  function proxy.save_for_forward(_, ...)
    local below, dims = unwrap_all(table.pack(...), level)
    rawset(proxy, "dims", dims)
    ctx:save_for_forward(table.unpack(below, 1, below.n))
  end
  for _, name in ipairs {"mark_dirty", "mark_non_differentiable", "set_materialize_grads"} do
    proxy[name] = function(_, ...)
      local below = unwrap_all(table.pack(...), level)
      return ctx[name](ctx, table.unpack(below, 1, below.n))
    end
  end
  return setmetatable(proxy, {
    __index = function(_, key)
      if key == "saved_tensors" then return saved end
      return ctx[key]
    end,
    __newindex = function(_, key, value) ctx[key] = value end,
  })
end

-- A gradient as its argument is: summed over the batch where that was not batched, its dimension where that has it.
local function as_argument(grad, dim, in_dim, size)
  if not is_tensor(grad) then return nil end
  if in_dim == nil then return dim ~= nil and grad:sum(dim) or grad end
  if dim ~= nil then return dim == in_dim and grad or grad:movedim(dim, in_dim) end
  local shape = {table.unpack(grad.shape)}
  table.insert(shape, in_dim + 1, size)
  return grad:unsqueeze(in_dim):expand(shape)
end

-- The rule that PyTorch generates: forward and backward inside vmaps of their own.
local function vmapped(class, in_dims, size, randomness)
  local generated = {__name = "Vmapped" .. class.__name, generate_vmap_rule = true}
  local out_dims, saved_dims
  function generated.forward(...)
    local outputs
    outputs, out_dims = mapped(class.forward, table.pack(...), in_dims, size, randomness)
    return table.unpack(outputs, 1, outputs.n)
  end
  function generated.setup_context(ctx, inputs, output)
    local outputs = list_of(output)
    local _ <close>, level = native.vmap_layer(size, randomness)
    local proxy = inner_context(ctx, level)
    local inner = wrap_all(outputs, out_dims, level)
    class.setup_context(proxy, wrap_all(inputs, in_dims, level), outputs.n == 1 and inner[1] or inner)
    saved_dims = rawget(proxy, "dims") or {n = 0}
  end
  -- What `name` of the class gives for gradients (or tangents) with these dimensions.
  local function run(ctx, name, given, given_dims)
    local saved = list_of(ctx.saved_tensors)
    local _ <close>, level = native.vmap_layer(size, randomness)
    local proxy = inner_context(ctx, level, wrap_all(saved, saved_dims, level))
    local wrapped = wrap_all(given, given_dims, level)
    return unwrap_all(table.pack(class[name](proxy, table.unpack(wrapped, 1, wrapped.n))), level)
  end
  function generated.backward(ctx, ...)
    local grads, dims = run(ctx, class.vjp and "vjp" or "backward", table.pack(...), out_dims)
    for i = 1, grads.n do
      grads[i] = as_argument(grads[i], dims[i], in_dims[i], size)
    end
    return table.unpack(grads, 1, grads.n)
  end
  if class.jvp then
    function generated.jvp(ctx, ...)
      local tangents, dims = run(ctx, "jvp", table.pack(...), in_dims)
      for i = 1, tangents.n do
        tangents[i] = as_argument(tangents[i], dims[i], out_dims[i], size)
      end
      return table.unpack(tangents, 1, tangents.n)
    end
  end
  function generated.apply(...)
    if native.is_transforming() then return transforms.apply(generated, ...) end
    return native.apply(generated, generated.__name .. "Backward", ...)
  end
  return generated, function() return out_dims end
end

local function apply_mapped(class, level, size, randomness, ...)
  local own = class.vmap
  if class.generate_vmap_rule and own then
    vm.raise("usage", ("You tried to vmap over %s, but it has both generate_vmap_rule=True and an overridden vmap " ..
      "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid ambiguity. %s")
      :format(class.__name, MORE))
  end
  if not class.generate_vmap_rule and not own then
    vm.raise("usage", ("You tried to vmap over %s, but it does not have vmap support. Please override and implement the " ..
      "vmap staticmethod or set generate_vmap_rule=True. %s"):format(class.__name, MORE))
  end
  local below, in_dims, any = unwrap_all(table.pack(...), level)
  local outputs, out_dims
  do
    local _ <close> = native.lower()
    if not any then return class.apply(table.unpack(below, 1, below.n)) end
    if own then
      local list = {}
      for i = 1, in_dims.n do list[i] = in_dims[i] == nil and none or in_dims[i] end
      local result = table.pack(own({batch_size = size, randomness = randomness}, list, table.unpack(below, 1, below.n)))
      if result.n ~= 2 then
        vm.raise("usage", ("Expected the vmap staticmethod to have two returns, an output and out_dims with pytree " ..
          "structure compatible with the output. Got %d values"):format(result.n))
      end
      outputs, out_dims = list_of(result[1]), result[2]
      out_dims = type(out_dims) == "table" and out_dims or {n = 1, out_dims}
    else
      local generated, dims = vmapped(class, in_dims, size, randomness)
      outputs = table.pack(generated.apply(table.unpack(below, 1, below.n)))
      out_dims = dims()
    end
  end
  local wrapped = wrap_all(outputs, out_dims, level)
  return table.unpack(wrapped, 1, wrapped.n)
end

--- class.apply inside a transform.
---@param class table
---@param ... any
---@return any ...
function transforms.apply(class, ...)
  if class.setup_context == nil then
    vm.raise("usage", "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it " ..
      "must override the setup_context staticmethod. " .. MORE)
  end
  local kind, level, size, randomness = native.current_layer()
  if kind == "vmap" then return apply_mapped(class, level, size, randomness, ...) end
  return apply_differentiated(class, level, ...)
end

return transforms
