-- The parametrization of nn.utils.parametrizations.spectral_norm (Miyato 2018).
local autograd = require "native.autograd"
local module = require "torch.nn.module"
local native = require "native.model"
local outputs_first = require "torch.nn.utils.outputs_first"
local torch = require "torch"
local vm = require "native.vm"
local normalize <const> = require("torch.nn.functional").normalize

local fields <const> = native.fields

---@class _SpectralNorm : Module
local SpectralNorm = module.class("_SpectralNorm")

-- The vectors are written in place: whoever shares them sees it.
local function iterate(f, matrix, count)
  local _ <close> = autograd.no_grad()
  local u, v = f._u, f._v
  for _ = 1, count do
    normalize(torch.mv(matrix, v), 2.0, 0, f.eps, u)
    normalize(torch.mv(matrix.H, u), 2.0, 0, f.eps, v)
  end
end

--- For this weight: power iteration begins at random vectors.
function SpectralNorm:__init(weight, n_power_iterations, dim, eps)
  local dims = weight:dim()
  if dim >= dims or dim < -dims then
    vm.raise("usage", ("Dimension out of range (expected to be in range of [-%d, %d] but got %d)"):format(dims, dims - 1,
      dim))
  end
  if n_power_iterations <= 0 then
    vm.raise("usage", ("Expected n_power_iterations to be positive, but got n_power_iterations=%d"):format(
      n_power_iterations))
  end
  self.dim, self.eps = dim >= 0 and dim or dim + dims, eps
  if dims < 2 then return end
  self.n_power_iterations = n_power_iterations
  local matrix = outputs_first(weight, self.dim):flatten(1)
  local u = matrix:new_empty(matrix:size(0)):normal_(0, 1)
  local v = matrix:new_empty(matrix:size(1)):normal_(0, 1)
  self:register_buffer("_u", normalize(u, {dim = 0, eps = eps}))
  self:register_buffer("_v", normalize(v, {dim = 0, eps = eps}))
  iterate(fields(self), matrix, 15)
end

---@param weight Tensor
---@return Tensor with 1 as its greatest singular value
function SpectralNorm:forward(weight)
  local f = fields(self)
  if weight:dim() == 1 then return normalize(weight, {dim = 0, eps = f.eps}) end
  local matrix = outputs_first(weight, f.dim):flatten(1)
  if self.training then iterate(f, matrix, f.n_power_iterations) end
  local u, v = f._u:clone({memory_format = torch.contiguous_format}), f._v:clone({memory_format = torch.contiguous_format})
  return weight / torch.vdot(u, torch.mv(matrix, v))
end

--- A value is taken as it is.
function SpectralNorm:right_inverse(value) return value end

return SpectralNorm
