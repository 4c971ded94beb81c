-- The gradient of torch.lobpcg: of some eigenpairs of a symmetric matrix, without knowing the others.
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"

local function op(name) return ops.find_any("aten::" .. name) end

local matmul <const> = op "matmul"

local function add_to_diagonal(x, value)
  x:diagonal(0, -2, -1):add_(value)
  return x
end

-- As if the given pairs were all there are.
local function complete(values_grad, vectors_grad, values, vectors)
  local gaps = values:unsqueeze(-2) - values:unsqueeze(-1)
  gaps:diagonal(0, -2, -1):fill_(math.huge)
  gaps:pow_(-1)
  local transposed = vectors.mT:contiguous()
  return matmul(vectors, matmul(op "diag_embed"(values_grad) + matmul(transposed, vectors_grad) * gaps, transposed))
end

-- The coefficients of the polynomial with these roots, from the constant one.
local function coefficients(roots)
  local order = roots:size(-1)
  local shape = {table.unpack(roots.shape)}
  shape[#shape] = order + 2
  local poly = roots:new_zeros(shape)
  poly:select(-1, 0):fill_(1)
  poly:select(-1, -1):fill_(1)
  for i = 1, order do
    local before = poly:clone()
    poly:narrow(-1, order - i, i + 1):sub_(roots:narrow(-1, i - 1, 1) * before:narrow(-1, order - i + 1, i + 1))
  end
  return poly:narrow(-1, 1, order + 1)
end

-- Horner's rule from the coefficient before the last, on x to the power of zero.
local function polynomial(poly, one, step)
  local result = one:clone()
  for k = poly:size(-1) - 2, 0, -1 do result = step(result, poly:select(-1, k)) end
  return result
end

-- The part of the gradient that lies outside the eigenvectors' space, by the characteristic polynomial (a Sylvester
-- equation solved without the other eigenpairs).
local function partial(values_grad, vectors_grad, a, values, vectors, largest)
  local m, k = a:size(-1), values:size(-1)
  local options = {dtype = a.dtype, device = a.device}
  local projector = add_to_diagonal(-vectors:matmul(vectors.mT:contiguous()), 1)
  local random_shape = {table.unpack(a.shape)}
  random_shape[#random_shape] = m - k
  options.generator = native.Generator(a.device)
  local outside = projector:matmul(op "randn"(random_shape, options))
  options.generator = nil
  local outside_t = outside.mT:contiguous()
  local poly = coefficients(values)
  local projected, series = vectors_grad, vectors_grad:new_zeros(vectors_grad.shape)
  local last = poly:size(-1) - 1
  for i = 1, last do
    local rest = poly:narrow(-1, i, last + 1 - i)
    local at_values = polynomial(rest, values:new_ones({1}):expand(values.shape), function(x, c)
      return op "addcmul"(c:unsqueeze(-1), values, x)
    end)
    series:add_(projected * at_values:unsqueeze(-2))
    projected = a:matmul(projected)
  end
  local identity = op "eye"(m, options)
  for _ = 1, a:dim() - 2 do identity = identity:unsqueeze(0) end
  local at_a = polynomial(poly, identity, function(x, c) return add_to_diagonal(a:matmul(x), c:unsqueeze(-1)) end)
  local restricted = matmul(outside_t, matmul(at_a, outside))
  local sign = largest and last % 2 == 1 and -1 or 1
  local factor = op "linalg_cholesky"(sign * restricted)
  local solved = sign * op "cholesky_solve"(outside_t:matmul(series), factor)
  return complete(values_grad, vectors_grad, values, vectors) - outside:matmul(solved):matmul(vectors.mT)
end

local function refuse(message) vm.raise("usage", message) end

--- Runs the solver on A and B and records its gradient.
---@param run fun(A: Tensor, B: Tensor?): Tensor, Tensor
---@param A Tensor symmetric
---@param B? Tensor symmetric
---@param largest boolean
---@return Tensor eigenvalues
---@return Tensor eigenvectors
return function(run, A, B, largest)
  local Lobpcg = require("torch.autograd").Function "LOBPCGAutogradFunction"

  function Lobpcg.forward(ctx, a, b)
    local values, vectors = run(a:detach(), b and b:detach())
    ctx:save_for_backward(a, b, values, vectors)
    return values, vectors
  end

  function Lobpcg.backward(ctx, values_grad, vectors_grad)
    local a, b, values, vectors = table.unpack(ctx.saved_tensors, 1, 4)
    if b ~= nil and b ~= native.None then refuse "lobpcg.backward does not support backward with B != I yet." end
    if a.is_sparse then
      refuse "lobpcg.backward does not support sparse input yet. Note that lobpcg.forward does though."
    end
    if a:is_complex() then
      refuse "lobpcg.backward does not support complex input yet. Note that lobpcg.forward does though."
    end
    if vectors:size(-1) == vectors:size(-2) then return complete(values_grad, vectors_grad, values, vectors), nil end
    return partial(values_grad, vectors_grad, a, values, vectors, largest), nil
  end

  return Lobpcg.apply(A, B)
end
