-- The parametrization of nn.utils.parametrizations.orthogonal (Lezcano-Casado 2019).
local autograd = require "native.autograd"
local module = require "torch.nn.module"
local torch = require "torch"
local vm = require "native.vm"

---@class _Orthogonal : Module
local Orthogonal = module.class("_Orthogonal")

--- For a weight of this shape.
function Orthogonal:__init(weight, orthogonal_map, use_trivialization)
  if orthogonal_map == "householder" and torch.is_complex(weight) then
    vm.raise("usage", "The householder parametrization does not support complex tensors.")
  end
  self.shape, self.orthogonal_map, self._trivialized = weight.shape, orthogonal_map, use_trivialization
  if use_trivialization then self:register_buffer("base", nil)
  elseif orthogonal_map ~= "householder" then self._not_invertible = true end
end

local function diagonal_of(x) return x:diagonal(0, -2, -1) end

-- exp(A) or (I + A/2) / (I - A/2) of the skew-symmetric matrix that x's lower triangle makes.
local function of_skew(x, n, k, orthogonal_map)
  x = x:tril()
  if n ~= k then
    local shape = {}
    for i = 1, x:dim() - 2 do shape[i] = x.shape[i] end
    shape[#shape + 1], shape[#shape + 2] = n, n - k
    x = torch.cat({x, x:new_zeros(n, n - k):expand(shape)}, -1)
  end
  local a = x - x.mH
  if orthogonal_map == "matrix_exp" then return torch.matrix_exp(a) end
  local eye = torch.eye(n, {dtype = a.dtype, device = a.device})
  return torch.linalg.solve(torch.add(eye, a, {alpha = -0.5}), torch.add(eye, a, {alpha = 0.5}))
end

---@param x Tensor [..., n, k]
---@return Tensor orthogonal, or with orthogonal rows
function Orthogonal:forward(x)
  local n, k = x:size(-2), x:size(-1)
  local transposed = n < k
  if transposed then
    x = x.mT
    n, k = k, n
  end
  local q
  if self.orthogonal_map == "householder" then
    local a = x:tril(-1)
    local tau = 2.0 / (1.0 + (a * a):sum(-2))
    q = torch.linalg.householder_product(a, tau) * diagonal_of(x):int():unsqueeze(-2)
  else
    q = of_skew(x, n, k, self.orthogonal_map)
    if n ~= k then q = q:narrow(-1, 0, k) end
  end
  if self._trivialized then q = self.base:matmul(q) end
  return transposed and q.mT or q
end

local function is_orthogonal(q)
  local n, k = q:size(-2), q:size(-1)
  local eye = torch.eye(k, {dtype = q.dtype, device = q.device})
  return torch.allclose(q.mH:matmul(q), eye, {atol = 10.0 * n * torch.finfo(q.dtype).eps})
end

local function make_orthogonal(a)
  local x, tau = torch.geqrf(a)
  local q = torch.linalg.householder_product(x, tau)
  return q:mul_(diagonal_of(x):sgn():unsqueeze(-2))
end

-- What the Householder map makes the matrix of, or the nearest orthogonal one if it is none.
local function reflectors(q, transposed)
  local a, tau = torch.geqrf(q)
  local diagonal = diagonal_of(a)
  diagonal:sign_()
  diagonal:masked_scatter_(tau:eq(0.0), -diagonal:masked_select(tau:eq(0.0)))
  return transposed and a.mT or a
end

---@param q Tensor of the weight's shape
---@return Tensor
function Orthogonal:right_inverse(q)
  local _ <close> = autograd.no_grad()
  if tostring(q.shape) ~= tostring(self.shape) then
    vm.raise("shape", ("Expected a matrix or batch of matrices of shape %s. Got a tensor of shape %s."):format(self.shape,
      q.shape))
  end
  local given = q
  local n, k = q:size(-2), q:size(-1)
  local transposed = n < k
  if transposed then
    q = q.mT
    n, k = k, n
  end
  if not self._trivialized then
    if self._not_invertible then
      vm.raise("usage", "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
        .. "use_trivialization=False.")
    end
    return reflectors(q, transposed)
  end
  if n == k then
    q = is_orthogonal(q) and q:clone() or make_orthogonal(q)
  else
    local shape = {table.unpack(q.shape)}
    shape[#shape] = n - k
    q = make_orthogonal(torch.cat({q, torch.randn(shape, {dtype = q.dtype, device = q.device})}, -1))
  end
  self.base = q
  local minus_eye = torch.zeros_like(given)  -- the Householder map reads the diagonal
  diagonal_of(minus_eye):fill_(-1.0)
  return minus_eye
end

return Orthogonal
